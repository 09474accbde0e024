//! The objects of a simulated device: Device (3) and Connectivity Monitoring (4).
//!
//! The client adds Server (1) and Firmware Update (5) by itself. Resource numbers are those of
//! LwM2M Core 1.1, appendices E.4 and E.5.

use std::net::SocketAddr;

use lwm2m::client::ObjectTree;
use lwm2m::{ObjectVersion, Operations, Path, Value, ValueKind};

use super::profile::{Flash, Profile};
use crate::image::DefectKind;

pub(super) const REBOOT: Path = device(4);
pub(super) const BATTERY_LEVEL: Path = device(9);
pub(super) const RESET_ERROR_CODE: Path = device(12);
pub(super) const CURRENT_TIME: Path = device(13);
pub(super) const ERROR_CODE: Path = Path::resource_instance(3, 0, 11, 0);
pub(super) const SIGNAL_STRENGTH: Path = Path::resource(4, 0, 2);
pub(super) const NO_ERROR: i64 = 0;

/// What changes while a device runs, at the moment it boots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readings {
    pub(super) battery_percent: Option<i64>,
    pub(super) signal_dbm: i64,
    pub(super) unix_s: i64,
}

/// The tree of a device that boots with this flash.
pub(super) fn tree(
    profile: &Profile,
    flash: &Flash,
    readings: Readings,
    local: SocketAddr,
) -> ObjectTree {
    let mut tree = ObjectTree::new();
    device_object(&mut tree, profile, flash, readings);
    connectivity_object(&mut tree, readings, local);
    tree
}

fn device_object(tree: &mut ObjectTree, profile: &Profile, flash: &Flash, readings: Readings) {
    let read = Operations::Read;
    let memory_free = match flash.defect {
        Some(DefectKind::LeaksMemory) => profile.memory_free_kib / 2,
        _ => profile.memory_free_kib,
    };
    let error = match flash.defect {
        Some(DefectKind::ErrorCode) => PERIPHERAL_MALFUNCTION,
        _ => NO_ERROR,
    };
    let serial = format!("{:012x}", profile.seed & 0xffff_ffff_ffff);
    tree.object(3, ObjectVersion::new(1, 1))
        .single(device(0), read, text(&profile.manufacturer))
        .single(device(1), read, text(&profile.model))
        .single(device(2), read, text(&serial))
        .single(device(3), read, text(&flash.version))
        .executable(REBOOT);
    if let Some(percent) = readings.battery_percent {
        let status = if percent < 20 { BATTERY_LOW } else { BATTERY_NORMAL };
        tree.multiple(device(6), read, ValueKind::Integer, vec![(0, Value::Integer(1))])
            .single(BATTERY_LEVEL, read, Value::Integer(percent))
            .single(device(20), read, Value::Integer(status));
    } else {
        tree.multiple(device(6), read, ValueKind::Integer, vec![(0, Value::Integer(6))]);
    }
    let write = Operations::ReadWrite;
    tree.single(device(10), read, Value::Integer(memory_free))
        .multiple(device(11), read, ValueKind::Integer, vec![(0, Value::Integer(error))])
        .executable(RESET_ERROR_CODE)
        .single(CURRENT_TIME, write, Value::Time(readings.unix_s))
        .single(device(14), write, text("+00:00"))
        .single(device(15), write, text("UTC"))
        .single(device(16), read, text("U"))
        .single(device(17), read, text("weather station"))
        .single(device(18), read, text(&profile.hardware))
        .single(device(19), read, text(&flash.version))
        .single(device(21), read, Value::Integer(profile.memory_total_kib));
}

fn connectivity_object(tree: &mut ObjectTree, readings: Readings, local: SocketAddr) {
    let read = Operations::Read;
    let resource = |id| Path::resource(4, 0, id);
    let quality = (readings.signal_dbm + 130).clamp(0, 100);
    tree.object(4, ObjectVersion::new(1, 0))
        .single(resource(0), read, Value::Integer(BEARER_NB_IOT))
        .multiple(resource(1), read, ValueKind::Integer, vec![(0, Value::Integer(BEARER_NB_IOT))])
        .single(SIGNAL_STRENGTH, read, Value::Integer(readings.signal_dbm))
        .single(resource(3), read, Value::Integer(quality))
        .multiple(resource(4), read, ValueKind::String, vec![(0, text(&local.ip().to_string()))]);
}

const fn device(resource: u16) -> Path {
    Path::resource(3, 0, resource)
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// Error code "peripheral malfunction" (E.4).
const PERIPHERAL_MALFUNCTION: i64 = 8;
/// Network bearer "NB-IoT" (E.5).
const BEARER_NB_IOT: i64 = 7;
/// Battery status "normal" and "low battery" (E.4).
const BATTERY_NORMAL: i64 = 0;
const BATTERY_LOW: i64 = 4;
