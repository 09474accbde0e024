//! Rules of other systems: what they look at, and how their verdicts are followed.

use model::{Course, CourseStage, Operation, OperationState, Standing, Time, Verdict};

use super::{Conduct, Pool};
use crate::enforcement::Histogram;

impl Conduct {
    /// Whether its rule allows instead of deciding on one element after the other.
    pub(super) fn allows(&self) -> bool {
        self.operation.policy.rule.is_allowing()
    }

    /// What its rule looks at beside the counts; none before its start and for the rules that
    /// are not of another system.
    pub(super) fn standing(&self, pool: Pool, now: Time) -> Option<Box<Standing>> {
        let course = self.operation.course.as_deref()?;
        let ledger = &self.ledger;
        Some(Box::new(Standing {
            at: now,
            course: course.clone(),
            granted: ledger.granted(),
            rejected: ledger.rejected(),
            timed_out: ledger.timed_out(),
            stages: ledger.stages().copied().collect(),
            batches: ledger.newest(self.operation.policy.rule.batches_seen()),
            response_time_us: if self.allows() { self.response_times.median_us() } else { None },
            linger_over: self.is_linger_over(pool, now),
        }))
    }

    /// Whether a rule that allows has something to look at: news, its own time, or the end.
    pub(super) fn is_course_occasion(&self, pool: Pool, now: Time) -> bool {
        let course = self.operation.course.as_deref();
        let due = match course.and_then(|course| course.look_at) {
            Some(at) => at <= now && pool.ready > 0,
            None => course.is_none_or(|course| course.stages.is_empty()),
        };
        let left = pool.ready + pool.waiting + self.ledger.in_flight();
        self.bad_news || due || left == 0 || self.is_linger_over(pool, now)
    }

    /// When a rule that allows must be asked by itself.
    pub(super) fn course_at(&self, pool: Pool) -> Option<Time> {
        if self.panel.is_some() {
            let goes_on = self.operation.state == OperationState::Ongoing;
            return self.evidence_look_at().filter(|_| goes_on);
        }
        let waits = self.operation.state == OperationState::Ongoing && pool.ready > 0;
        self.operation.course.as_deref().filter(|_| waits)?.look_at
    }

    /// Devices that a rule that allows lets be granted now.
    pub(super) fn places(&self) -> u32 {
        let Some(course) = self.operation.course.as_deref() else { return 0 };
        if course.stages.is_empty() {
            return 0;
        }
        let free = u64::from(self.operation.speed).saturating_sub(self.ledger.in_flight());
        let left = course.devices_max.map_or(free, |max| max.saturating_sub(self.engaged()));
        u32::try_from(free.min(left)).unwrap_or(u32::MAX)
    }

    pub(super) fn allow(&mut self, verdict: Verdict, pool: Pool, now: Time) {
        let Verdict::Allow { phase, speed, devices_max, look_at, stage, strikes } = verdict else {
            return;
        };
        let (counts, engaged) = (self.counts(pool), self.engaged());
        let next = self.last_element + 1;
        self.operation.phase = phase;
        self.operation.speed = speed;
        let course = course_of(&mut self.operation, now);
        course.devices_max = devices_max;
        course.look_at = look_at;
        course.strikes = strikes;
        course.succeeded_before = counts.succeeded;
        course.failed_before = counts.failed;
        let targets = counts.targets();
        let devices = devices_max.map_or(targets, |max| max.min(targets)).saturating_sub(engaged);
        while course.stages.len() < stage as usize {
            let begun = CourseStage { first_element: next, devices, failed_accepted: 0 };
            course.stages.push(begun);
            self.ledger.begin_stage(next);
        }
        self.response_times = Histogram::default();
    }

    /// Grants nothing before a time.
    pub(super) fn hold(&mut self, until: Time, now: Time) {
        let engaged = self.engaged();
        let course = course_of(&mut self.operation, now);
        course.devices_max = Some(engaged);
        course.look_at = Some(until);
    }

    /// Takes what its rule stopped at as accepted.
    pub(super) fn accept(&mut self) {
        let Some(course) = self.operation.course.as_deref_mut() else { return };
        for (stage, tally) in course.stages.iter_mut().zip(self.ledger.stages()) {
            stage.failed_accepted = tally.failed;
        }
        course.timed_out_accepted = self.ledger.timed_out();
        if let Some(stage) = course.awaits.take() {
            course.approved = stage;
        }
        self.bad_news = true;
    }

    /// Devices in flight and settled for good.
    fn engaged(&self) -> u64 {
        let ledger = &self.ledger;
        ledger.succeeded() + ledger.failed() + ledger.in_flight() + ledger.cancelled()
    }
}

/// The course of an operation, begun now if it has none.
pub(super) fn course_of(operation: &mut Operation, now: Time) -> &mut Course {
    operation.course.get_or_insert_with(|| Box::new(Course { started: now, ..Course::default() }))
}
