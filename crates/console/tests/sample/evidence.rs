//! An operation under evidence: one stratum stopped, an alarm, and a gate that waits.

use api::{
    DecisionView, EvidenceView, GateView, IndicatorView, OperationDetail, OperationState,
    StratumScope, StratumView,
};

use super::{HOSTILE, at, operation, share};

fn stratum(hardware: &str, scope: StratumScope, closed_log10: f64, targets: u64) -> StratumView {
    let stopped = scope == StratumScope::Stopped;
    StratumView {
        name: format!("hardware {hardware}, version 1.0.0"),
        hardware: hardware.to_owned(),
        version: "1.0.0".to_owned(),
        site: String::new(),
        scope,
        e_log10: closed_log10 + 0.1,
        closed_log10,
        budget: 18.5,
        rate_upper: share(if stopped { 8_214 } else { 42 }),
        unresolved: 1_204.25,
        matured: 3_310.5,
        excess: if stopped { 7.8 } else { 0.4 },
        targets,
        granted: targets / 3,
        updated: targets / 4,
        failures: 3,
        events: if stopped { 9 } else { 1 },
        control_events: 2,
        granted_max: targets / 2,
        indicators: vec![IndicatorView {
            name: "free memory".to_owned(),
            pairs: if stopped { 31 } else { 0 },
            e_log10: if stopped { 4.2 } else { 0.0 },
            difference: 0.214,
            lower: 0.083,
            upper: 0.345,
        }],
    }
}

fn evidence() -> EvidenceView {
    let strata = vec![
        stratum("B", StratumScope::Free, -0.52, 61_250),
        stratum("C", StratumScope::Held, 0.35, 30_000),
        stratum("D", StratumScope::Suspect, 1.62, 8_000),
        stratum(HOSTILE, StratumScope::Stopped, 9.31, 750),
    ];
    EvidenceView {
        look: 41,
        at: None,
        e_log10: 2.4,
        limit_log10: 2.0,
        alarm: true,
        warning: true,
        budget: 50,
        at_risk: 31.47,
        excess: 9.2,
        parallel_max: 10_000.0,
        watch_from: Some(at(100)),
        watch_until: Some(at(86_500)),
        released: false,
        awaits: Some(GateView {
            gate: "warning".to_owned(),
            sentence: model::Gate::Warning.to_string(),
        }),
        strata_total: 4,
        strata,
    }
}

fn decided(seq: u64, verdict: model::Verdict, reason: model::Reason) -> DecisionView {
    let seen = evidence();
    let inputs = model::Inputs {
        counts: model::Counts { succeeded: 900, waiting: 8_000, ..model::Counts::default() },
        phase: model::Phase::Cautious,
        speed: 10_000,
        favourable: 0,
        before: None,
        after: None,
        window: None,
        artifact_fault: false,
        policy: model::Policy::default(),
        standing: None,
        evidence: None,
    };
    let decision = DecisionView::from(&model::Decision {
        operation: model::OperationId(1),
        seq,
        at: model::Time::from_secs(1_795_338_000 + seq * 300),
        verdict,
        reason,
        inputs: Some(inputs),
        judged: None,
        code_version: "0.1.0".to_owned(),
    });
    DecisionView {
        evidence: Some(EvidenceView {
            strata: seen.strata[2..].to_vec(),
            at: Some(at(seq * 300)),
            ..seen
        }),
        ..decision
    }
}

pub(crate) fn under_evidence() -> OperationDetail {
    let allow = model::Verdict::Allow {
        phase: model::Phase::Cautious,
        speed: 10_000,
        devices_max: Some(24_310),
        look_at: Some(model::Time::from_secs(1_795_338_600)),
        stage: 1,
        strikes: 0,
    };
    let mut operation = operation();
    operation.evidence = Some(evidence());
    operation.decisions = vec![
        decided(4, model::Verdict::Pause, model::Reason::Approval { gate: model::Gate::Warning }),
        decided(
            3,
            allow,
            model::Reason::StrataStopped {
                strata: vec![HOSTILE.to_owned()],
                excess: 8,
                updated: 187,
            },
        ),
        decided(
            2,
            allow,
            model::Reason::Budget {
                stratum: "hardware B, version 1.0.0".to_owned(),
                budget: 50,
                rate_upper: model::Rate::basis_points(42),
                excess: 0,
                updated: 210,
                unresolved: 1_204,
            },
        ),
    ];
    let summary = &mut operation.summary;
    summary.state = OperationState::Paused;
    summary.last_decision = operation.decisions[0].sentence.clone();
    summary.last_reason = operation.decisions[0].code.clone();
    operation.rates = None;
    operation
}
