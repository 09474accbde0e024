//! `device`.

use api::client::Client;
use api::{
    ConsentRequest, DeviceDetail, DeviceQuery, DeviceSummary, ListQuery, OrderRequest,
    SignalRequest, Value, ValueView,
};

use super::{operator, print_list};
use crate::arguments::{Device, DeviceList, Order};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::table::Table;
use crate::view::{self, or_dash};

pub(super) fn run(command: &Device, client: &Client, output: &Output) -> Result<Exit, Failure> {
    match command {
        Device::List(list) => self::list(list, client, output),
        Device::Show { device } => show(&client.device(&device.device)?, output),
        Device::Read { device, path } => read(client, &device.device, path, output),
        Device::Write { device, path, value } => {
            let answer = client.write(&device.device, path, Value::parse(value))?;
            answered(&answer, output)
        }
        Device::Exec { device, path, arguments } => {
            answered(&client.execute(&device.device, path, arguments)?, output)
        }
        Device::Hold { device, order } => {
            let summary = client.hold(&device.device, &request(order))?;
            ordered(&summary, "is left alone until it is released", output)
        }
        Device::Release { device, order } => {
            let summary = client.unhold(&device.device, &request(order))?;
            ordered(&summary, "may be updated again", output)
        }
        Device::Consent { device, operation, defer, withdraw, order } => {
            let OrderRequest { reason, by } = request(order);
            let (operation, defer) = (operation.clone(), defer.clone());
            let consent = ConsentRequest { operation, defer, withdraw: *withdraw, reason, by };
            let report = client.consent(&device.device, &consent)?;
            if output.is_for_people() {
                let (endpoint, answer) = (&report.device.endpoint, report.verdict.as_str());
                output.line(&format!("{endpoint}: {answer}, {}", report.sentence))?;
            } else {
                output.json(&report)?;
            }
            Ok(Exit::Done)
        }
        Device::Signal { device, kind, text } => signal(&device.device, kind, text, client, output),
    }
}

/// An order in the form of the HTTP interface.
pub(super) fn request(order: &Order) -> OrderRequest {
    OrderRequest { reason: order.reason.clone(), by: Some(operator()) }
}

fn list(arguments: &DeviceList, client: &Client, output: &Output) -> Result<Exit, Failure> {
    let query = DeviceQuery {
        q: arguments.text.clone(),
        model: arguments.model.clone(),
        version: arguments.firmware.clone(),
        presence: arguments.presence,
        compliance: arguments.compliance,
        ..DeviceQuery::default()
    };
    let mut page =
        |after, limit| client.devices(&DeviceQuery { after, limit: Some(limit), ..query.clone() });
    print_list(output, &arguments.limit, &mut page, |devices| table(devices, output))
}

/// Prints devices for people.
pub(super) fn table(devices: &[DeviceSummary], output: &Output) -> Result<(), Failure> {
    if devices.is_empty() {
        output.note("no devices");
        return Ok(());
    }
    let mut table = Table::new([
        "ENDPOINT", "MODEL", "HW", "VERSION", "DESIRED", "PRESENCE", "SOFTWARE", "BATTERY",
        "SIGNAL",
    ]);
    for device in devices {
        table.row([
            device.endpoint.clone(),
            or_dash(Some(device.kind()).filter(|kind| !kind.is_empty())),
            or_dash(device.hardware.as_ref()),
            or_dash(device.version.as_ref()),
            or_dash(device.desired_version.as_ref()),
            device.presence.as_str().to_owned(),
            device.compliance.as_str().to_owned(),
            or_dash(device.battery_percent.map(|percent| format!("{percent} %"))),
            or_dash(device.signal_dbm.map(|dbm| format!("{dbm} dBm"))),
        ]);
    }
    table.print(output)
}

fn show(device: &DeviceDetail, output: &Output) -> Result<Exit, Failure> {
    if !output.is_for_people() {
        output.json(device)?;
        return Ok(Exit::Done);
    }
    for line in view::device(device, output.paint()) {
        output.line(&line)?;
    }
    for object in &device.objects {
        output.line("")?;
        output.line(&output.paint().strong(format!("{} {}", object.path, object.name)))?;
        values(&object.values, output)?;
    }
    if !device.history.is_empty() {
        output.line("")?;
        output.line(&output.paint().strong("history"))?;
    }
    for entry in &device.history {
        output.line(&format!("  {}  {}", entry.at.time_of_day(), entry.sentence))?;
    }
    Ok(Exit::Done)
}

fn read(client: &Client, device: &str, path: &str, output: &Output) -> Result<Exit, Failure> {
    let answer = client.read(device, path)?;
    if !output.is_for_people() {
        output.json(&answer)?;
        return Ok(Exit::Done);
    }
    values(&answer.values, output)?;
    output.note(&format!("answered within {} ms", answer.round_trip_ms));
    Ok(Exit::Done)
}

fn values(values: &[ValueView], output: &Output) -> Result<(), Failure> {
    let mut table = Table::new(["PATH", "NAME", "VALUE", "READ AT"]);
    for value in values {
        table.row([
            value.path.clone(),
            value.name.clone(),
            view::value(value),
            or_dash(value.at.as_ref().map(|at| at.time_of_day().to_owned())),
        ]);
    }
    table.print(output)
}

fn answered(answer: &api::DeviceAnswer, output: &Output) -> Result<Exit, Failure> {
    if output.is_for_people() {
        let api::DeviceAnswer { path, code, round_trip_ms, .. } = answer;
        output.line(&format!("{path}: {code} within {round_trip_ms} ms"))?;
    } else {
        output.json(answer)?;
    }
    Ok(Exit::Done)
}

fn signal(
    device: &str,
    kind: &str,
    text: &str,
    client: &Client,
    output: &Output,
) -> Result<Exit, Failure> {
    let receipt = client.signal(&SignalRequest {
        device: device.to_owned(),
        kind: kind.to_owned(),
        text: text.to_owned(),
        by: Some(operator()),
    })?;
    if output.is_for_people() {
        let of = match receipt.operations {
            0 => not_compared(device, client),
            1 => "evidence in 1 operation".to_owned(),
            many => format!("evidence in {many} operations"),
        };
        output.line(&format!("{}: {} taken in, {of}", receipt.device.endpoint, receipt.kind))?;
    } else {
        output.json(&receipt)?;
    }
    Ok(Exit::Done)
}

fn ordered(device: &DeviceSummary, what: &str, output: &Output) -> Result<Exit, Failure> {
    if output.is_for_people() {
        output.line(&format!("{} {what}", device.endpoint))?;
    } else {
        output.json(device)?;
    }
    Ok(Exit::Done)
}

/// A query for a page of any list but devices.
pub(super) fn list_query(after: Option<String>, limit: u32) -> ListQuery {
    ListQuery { after, limit: Some(limit) }
}

/// Why a signal is evidence in no operation. It was taken in all the same, so that a server that
/// does not say is no failure.
fn not_compared(device: &str, client: &Client) -> String {
    let reports = client.why(device, None).unwrap_or_default();
    let known = reports.iter().find_map(|report| Some((report.operation.as_ref()?, report)));
    let why = match known {
        Some((operation, report)) => {
            format!("to {} the device {}", operation.name, report.sentence)
        }
        None => "none is for it".to_owned(),
    };
    format!("evidence in no open operation: {why}")
}
