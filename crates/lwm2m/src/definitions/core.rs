//! The built-in table: one row for each resource, facts of the public OMA and IPSO registry.

use std::borrow::Cow;

use super::{ObjectDefinition, ObjectVersion, Operations, ResourceDefinition};
use crate::ValueKind;

/// The built-in objects, in the order of their identifiers.
pub(super) const OBJECTS: &[ObjectDefinition] = &[
    object(0, "LWM2M Security", (1, 1), MANY, SECURITY),
    object(1, "LwM2M Server", (1, 1), MANY, SERVER),
    object(2, "LwM2M Access Control", (1, 0), MANY, ACCESS_CONTROL),
    object(3, "Device", (1, 1), ONE, DEVICE),
    object(4, "Connectivity Monitoring", (1, 3), ONE, CONNECTIVITY_MONITORING),
    object(5, "Firmware Update", (1, 1), ONE, FIRMWARE_UPDATE),
    object(6, "Location", (1, 0), ONE, LOCATION),
    object(7, "Connectivity Statistics", (1, 0), ONE, CONNECTIVITY_STATISTICS),
    object(9, "LWM2M Software Management", (1, 0), MANY, SOFTWARE_MANAGEMENT),
    object(3200, "Digital Input", (1, 0), MANY, DIGITAL_INPUT),
    object(3201, "Digital Output", (1, 0), MANY, DIGITAL_OUTPUT),
    object(3300, "Generic Sensor", (1, 0), MANY, GENERIC_SENSOR),
    object(3301, "Illuminance", (1, 0), MANY, ILLUMINANCE),
    object(3302, "Presence", (1, 0), MANY, PRESENCE),
    object(3303, "Temperature", (1, 0), MANY, TEMPERATURE),
    object(3304, "Humidity", (1, 0), MANY, HUMIDITY),
    object(3306, "Actuation", (1, 0), MANY, ACTUATION),
    object(3311, "Light Control", (1, 0), MANY, LIGHT_CONTROL),
    object(3313, "Accelerometer", (1, 0), MANY, ACCELEROMETER),
    object(3315, "Barometer", (1, 0), MANY, BAROMETER),
    object(3316, "Voltage", (1, 0), MANY, VOLTAGE),
    object(3317, "Current", (1, 0), MANY, CURRENT),
    object(3320, "Percentage", (1, 0), MANY, PERCENTAGE),
    object(3323, "Pressure", (1, 0), MANY, PRESSURE),
    object(3328, "Power", (1, 0), MANY, POWER),
    object(3342, "On/Off switch", (1, 0), MANY, ON_OFF_SWITCH),
    object(3347, "Push button", (1, 0), MANY, PUSH_BUTTON),
];

const SECURITY: &[ResourceDefinition] = &[
    resource(0, "LWM2M Server URI", STRING, BOOTSTRAP, ONE, MANDATORY, ""),
    resource(1, "Bootstrap-Server", BOOLEAN, BOOTSTRAP, ONE, MANDATORY, ""),
    resource(2, "Security Mode", INTEGER, BOOTSTRAP, ONE, MANDATORY, ""),
    resource(3, "Public Key or Identity", OPAQUE, BOOTSTRAP, ONE, MANDATORY, ""),
    resource(4, "Server Public Key", OPAQUE, BOOTSTRAP, ONE, MANDATORY, ""),
    resource(5, "Secret Key", OPAQUE, BOOTSTRAP, ONE, MANDATORY, ""),
    resource(6, "SMS Security Mode", INTEGER, BOOTSTRAP, ONE, OPTIONAL, ""),
    resource(7, "SMS Binding Key Parameters", OPAQUE, BOOTSTRAP, ONE, OPTIONAL, ""),
    resource(8, "SMS Binding Secret Key(s)", OPAQUE, BOOTSTRAP, ONE, OPTIONAL, ""),
    resource(9, "LWM2M Server SMS Number", STRING, BOOTSTRAP, ONE, OPTIONAL, ""),
    resource(10, "Short Server ID", INTEGER, BOOTSTRAP, ONE, OPTIONAL, ""),
    resource(11, "Client Hold Off Time", INTEGER, BOOTSTRAP, ONE, OPTIONAL, "s"),
    resource(12, "Bootstrap-Server Account Timeout", INTEGER, BOOTSTRAP, ONE, OPTIONAL, "s"),
    resource(13, "Matching Type", UNSIGNED, BOOTSTRAP, ONE, OPTIONAL, ""),
    resource(14, "SNI", STRING, BOOTSTRAP, ONE, OPTIONAL, ""),
    resource(15, "Certificate Usage", UNSIGNED, BOOTSTRAP, ONE, OPTIONAL, ""),
    resource(16, "DTLS/TLS Ciphersuite", UNSIGNED, BOOTSTRAP, MANY, OPTIONAL, ""),
    resource(17, "OSCORE Security Mode", OBJECTLINK, BOOTSTRAP, ONE, OPTIONAL, ""),
];

const SERVER: &[ResourceDefinition] = &[
    resource(0, "Short Server ID", INTEGER, R, ONE, MANDATORY, ""),
    resource(1, "Lifetime", INTEGER, RW, ONE, MANDATORY, "s"),
    resource(2, "Default Minimum Period", INTEGER, RW, ONE, OPTIONAL, "s"),
    resource(3, "Default Maximum Period", INTEGER, RW, ONE, OPTIONAL, "s"),
    resource(4, "Disable", NONE, E, ONE, OPTIONAL, ""),
    resource(5, "Disable Timeout", INTEGER, RW, ONE, OPTIONAL, "s"),
    resource(6, "Notification Storing When Disabled or Offline", BOOLEAN, RW, ONE, MANDATORY, ""),
    resource(7, "Binding", STRING, RW, ONE, MANDATORY, ""),
    resource(8, "Registration Update Trigger", NONE, E, ONE, MANDATORY, ""),
    resource(9, "Bootstrap-Request Trigger", NONE, E, ONE, OPTIONAL, ""),
    resource(10, "APN Link", OBJECTLINK, RW, ONE, OPTIONAL, ""),
    resource(11, "TLS-DTLS Alert Code", UNSIGNED, R, ONE, OPTIONAL, ""),
    resource(12, "Last Bootstrapped", TIME, R, ONE, OPTIONAL, ""),
    resource(13, "Registration Priority Order", UNSIGNED, R, ONE, OPTIONAL, ""),
    resource(14, "Initial Registration Delay Timer", UNSIGNED, RW, ONE, OPTIONAL, "s"),
    resource(15, "Registration Failure Block", BOOLEAN, RW, ONE, OPTIONAL, ""),
    resource(16, "Bootstrap on Registration Failure", BOOLEAN, RW, ONE, OPTIONAL, ""),
    resource(17, "Communication Retry Count", UNSIGNED, RW, ONE, OPTIONAL, ""),
    resource(18, "Communication Retry Timer", UNSIGNED, RW, ONE, OPTIONAL, "s"),
    resource(19, "Communication Sequence Delay Timer", UNSIGNED, RW, ONE, OPTIONAL, "s"),
    resource(20, "Communication Sequence Retry Count", UNSIGNED, RW, ONE, OPTIONAL, ""),
    resource(21, "Trigger", BOOLEAN, RW, ONE, OPTIONAL, ""),
    resource(22, "Preferred Transport", STRING, RW, ONE, OPTIONAL, ""),
    resource(23, "Mute Send", BOOLEAN, RW, ONE, OPTIONAL, ""),
];

const ACCESS_CONTROL: &[ResourceDefinition] = &[
    resource(0, "Object ID", INTEGER, R, ONE, MANDATORY, ""),
    resource(1, "Object Instance ID", INTEGER, R, ONE, MANDATORY, ""),
    resource(2, "ACL", INTEGER, RW, MANY, OPTIONAL, ""),
    resource(3, "Access Control Owner", INTEGER, RW, ONE, MANDATORY, ""),
];

const DEVICE: &[ResourceDefinition] = &[
    resource(0, "Manufacturer", STRING, R, ONE, OPTIONAL, ""),
    resource(1, "Model Number", STRING, R, ONE, OPTIONAL, ""),
    resource(2, "Serial Number", STRING, R, ONE, OPTIONAL, ""),
    resource(3, "Firmware Version", STRING, R, ONE, OPTIONAL, ""),
    resource(4, "Reboot", NONE, E, ONE, MANDATORY, ""),
    resource(5, "Factory Reset", NONE, E, ONE, OPTIONAL, ""),
    resource(6, "Available Power Sources", INTEGER, R, MANY, OPTIONAL, ""),
    resource(7, "Power Source Voltage", INTEGER, R, MANY, OPTIONAL, "mV"),
    resource(8, "Power Source Current", INTEGER, R, MANY, OPTIONAL, "mA"),
    resource(9, "Battery Level", INTEGER, R, ONE, OPTIONAL, "/100"),
    resource(10, "Memory Free", INTEGER, R, ONE, OPTIONAL, "KB"),
    resource(11, "Error Code", INTEGER, R, MANY, MANDATORY, ""),
    resource(12, "Reset Error Code", NONE, E, ONE, OPTIONAL, ""),
    resource(13, "Current Time", TIME, RW, ONE, OPTIONAL, ""),
    resource(14, "UTC Offset", STRING, RW, ONE, OPTIONAL, ""),
    resource(15, "Timezone", STRING, RW, ONE, OPTIONAL, ""),
    resource(16, "Supported Binding and Modes", STRING, R, ONE, MANDATORY, ""),
    resource(17, "Device Type", STRING, R, ONE, OPTIONAL, ""),
    resource(18, "Hardware Version", STRING, R, ONE, OPTIONAL, ""),
    resource(19, "Software Version", STRING, R, ONE, OPTIONAL, ""),
    resource(20, "Battery Status", INTEGER, R, ONE, OPTIONAL, ""),
    resource(21, "Memory Total", INTEGER, R, ONE, OPTIONAL, "KB"),
    resource(22, "ExtDevInfo", OBJECTLINK, R, MANY, OPTIONAL, ""),
];

const CONNECTIVITY_MONITORING: &[ResourceDefinition] = &[
    resource(0, "Network Bearer", INTEGER, R, ONE, MANDATORY, ""),
    resource(1, "Available Network Bearer", INTEGER, R, MANY, MANDATORY, ""),
    resource(2, "Radio Signal Strength", INTEGER, R, ONE, MANDATORY, "dBm"),
    resource(3, "Link Quality", INTEGER, R, ONE, OPTIONAL, ""),
    resource(4, "IP Addresses", STRING, R, MANY, MANDATORY, ""),
    resource(5, "Router IP Addresses", STRING, R, MANY, OPTIONAL, ""),
    resource(6, "Link Utilization", INTEGER, R, ONE, OPTIONAL, "/100"),
    resource(7, "APN", STRING, R, MANY, OPTIONAL, ""),
    resource(8, "Cell ID", INTEGER, R, ONE, OPTIONAL, ""),
    resource(9, "SMNC", INTEGER, R, ONE, OPTIONAL, ""),
    resource(10, "SMCC", INTEGER, R, ONE, OPTIONAL, ""),
    resource(11, "SignalSNR", INTEGER, R, ONE, OPTIONAL, "dB"),
    resource(12, "LAC", INTEGER, R, ONE, OPTIONAL, ""),
    resource(13, "Coverage Enhancement Level", INTEGER, R, ONE, OPTIONAL, ""),
];

const FIRMWARE_UPDATE: &[ResourceDefinition] = &[
    resource(0, "Package", OPAQUE, W, ONE, MANDATORY, ""),
    resource(1, "Package URI", STRING, RW, ONE, MANDATORY, ""),
    resource(2, "Update", NONE, E, ONE, MANDATORY, ""),
    resource(3, "State", INTEGER, R, ONE, MANDATORY, ""),
    resource(5, "Update Result", INTEGER, R, ONE, MANDATORY, ""),
    resource(6, "PkgName", STRING, R, ONE, OPTIONAL, ""),
    resource(7, "PkgVersion", STRING, R, ONE, OPTIONAL, ""),
    resource(8, "Firmware Update Protocol Support", INTEGER, R, MANY, OPTIONAL, ""),
    resource(9, "Firmware Update Delivery Method", INTEGER, R, ONE, MANDATORY, ""),
    resource(10, "Cancel", NONE, E, ONE, OPTIONAL, ""),
    resource(11, "Severity", INTEGER, RW, ONE, OPTIONAL, ""),
    resource(12, "Last State Change Time", TIME, R, ONE, OPTIONAL, ""),
    resource(13, "Maximum Defer Period", UNSIGNED, RW, ONE, OPTIONAL, "s"),
];

const LOCATION: &[ResourceDefinition] = &[
    resource(0, "Latitude", FLOAT, R, ONE, MANDATORY, "lat"),
    resource(1, "Longitude", FLOAT, R, ONE, MANDATORY, "lon"),
    resource(2, "Altitude", FLOAT, R, ONE, OPTIONAL, "m"),
    resource(3, "Radius", FLOAT, R, ONE, OPTIONAL, "m"),
    resource(4, "Velocity", OPAQUE, R, ONE, OPTIONAL, ""),
    resource(5, "Timestamp", TIME, R, ONE, MANDATORY, ""),
    resource(6, "Speed", FLOAT, R, ONE, OPTIONAL, "m/s"),
];

const CONNECTIVITY_STATISTICS: &[ResourceDefinition] = &[
    resource(0, "SMS Tx Counter", INTEGER, R, ONE, OPTIONAL, ""),
    resource(1, "SMS Rx Counter", INTEGER, R, ONE, OPTIONAL, ""),
    resource(2, "Tx Data", INTEGER, R, ONE, OPTIONAL, "KB"),
    resource(3, "Rx Data", INTEGER, R, ONE, OPTIONAL, "KB"),
    resource(4, "Max Message Size", INTEGER, R, ONE, OPTIONAL, "B"),
    resource(5, "Average Message Size", INTEGER, R, ONE, OPTIONAL, "B"),
    resource(6, "Start", NONE, E, ONE, MANDATORY, ""),
    resource(7, "Stop", NONE, E, ONE, MANDATORY, ""),
    resource(8, "Collection Period", INTEGER, RW, ONE, OPTIONAL, "s"),
];

const SOFTWARE_MANAGEMENT: &[ResourceDefinition] = &[
    resource(0, "PkgName", STRING, R, ONE, MANDATORY, ""),
    resource(1, "PkgVersion", STRING, R, ONE, MANDATORY, ""),
    resource(2, "Package", OPAQUE, W, ONE, OPTIONAL, ""),
    resource(3, "Package URI", STRING, W, ONE, OPTIONAL, ""),
    resource(4, "Install", NONE, E, ONE, MANDATORY, ""),
    resource(5, "Checkpoint", OBJECTLINK, R, ONE, OPTIONAL, ""),
    resource(6, "Uninstall", NONE, E, ONE, MANDATORY, ""),
    resource(7, "Update State", INTEGER, R, ONE, MANDATORY, ""),
    resource(8, "Update Supported Objects", BOOLEAN, RW, ONE, OPTIONAL, ""),
    resource(9, "Update Result", INTEGER, R, ONE, MANDATORY, ""),
    resource(10, "Activate", NONE, E, ONE, MANDATORY, ""),
    resource(11, "Deactivate", NONE, E, ONE, MANDATORY, ""),
    resource(12, "Activation State", BOOLEAN, R, ONE, MANDATORY, ""),
    resource(13, "Package Settings", OBJECTLINK, RW, ONE, OPTIONAL, ""),
    resource(14, "User Name", STRING, W, ONE, OPTIONAL, ""),
    resource(15, "Password", STRING, W, ONE, OPTIONAL, ""),
    resource(16, "Status Reason", STRING, R, ONE, OPTIONAL, ""),
    resource(17, "Software Component Link", OBJECTLINK, R, MANY, OPTIONAL, ""),
    resource(18, "Software Component tree length", INTEGER, R, ONE, OPTIONAL, ""),
];

const DIGITAL_INPUT: &[ResourceDefinition] = &[
    resource(5500, "Digital Input State", BOOLEAN, R, ONE, MANDATORY, ""),
    resource(5501, "Digital Input Counter", INTEGER, R, ONE, OPTIONAL, ""),
    resource(5502, "Digital Input Polarity", BOOLEAN, RW, ONE, OPTIONAL, ""),
    resource(5503, "Digital Input Debounce", INTEGER, RW, ONE, OPTIONAL, "ms"),
    resource(5504, "Digital Input Edge Selection", INTEGER, RW, ONE, OPTIONAL, ""),
    resource(5505, "Digital Input Counter Reset", NONE, E, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
    resource(5751, "Sensor Type", STRING, R, ONE, OPTIONAL, ""),
];

const DIGITAL_OUTPUT: &[ResourceDefinition] = &[
    resource(5550, "Digital Output State", BOOLEAN, RW, ONE, MANDATORY, ""),
    resource(5551, "Digital Output Polarity", BOOLEAN, RW, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
];

const GENERIC_SENSOR: &[ResourceDefinition] = &[
    resource(5601, "Min Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5602, "Max Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5603, "Min Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5604, "Max Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5605, "Reset Min and Max Measured Values", NONE, E, ONE, OPTIONAL, ""),
    resource(5700, "Sensor Value", FLOAT, R, ONE, MANDATORY, ""),
    resource(5701, "Sensor Units", STRING, R, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
    resource(5751, "Sensor Type", STRING, R, ONE, OPTIONAL, ""),
];

const ILLUMINANCE: &[ResourceDefinition] = &[
    resource(5601, "Min Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5602, "Max Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5603, "Min Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5604, "Max Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5605, "Reset Min and Max Measured Values", NONE, E, ONE, OPTIONAL, ""),
    resource(5700, "Sensor Value", FLOAT, R, ONE, MANDATORY, ""),
    resource(5701, "Sensor Units", STRING, R, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
];

const PRESENCE: &[ResourceDefinition] = &[
    resource(5500, "Digital Input State", BOOLEAN, R, ONE, MANDATORY, ""),
    resource(5501, "Digital Input Counter", INTEGER, R, ONE, OPTIONAL, ""),
    resource(5505, "Digital Input Counter Reset", NONE, E, ONE, OPTIONAL, ""),
    resource(5751, "Sensor Type", STRING, R, ONE, OPTIONAL, ""),
    resource(5903, "Busy to Clear delay", INTEGER, RW, ONE, OPTIONAL, "ms"),
    resource(5904, "Clear to Busy delay", INTEGER, RW, ONE, OPTIONAL, "ms"),
];

const TEMPERATURE: &[ResourceDefinition] = &[
    resource(5601, "Min Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5602, "Max Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5603, "Min Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5604, "Max Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5605, "Reset Min and Max Measured Values", NONE, E, ONE, OPTIONAL, ""),
    resource(5700, "Sensor Value", FLOAT, R, ONE, MANDATORY, ""),
    resource(5701, "Sensor Units", STRING, R, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
];

const HUMIDITY: &[ResourceDefinition] = &[
    resource(5601, "Min Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5602, "Max Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5603, "Min Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5604, "Max Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5605, "Reset Min and Max Measured Values", NONE, E, ONE, OPTIONAL, ""),
    resource(5700, "Sensor Value", FLOAT, R, ONE, MANDATORY, ""),
    resource(5701, "Sensor Units", STRING, R, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
];

const ACTUATION: &[ResourceDefinition] = &[
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
    resource(5850, "On/Off", BOOLEAN, RW, ONE, MANDATORY, ""),
    resource(5851, "Dimmer", INTEGER, RW, ONE, OPTIONAL, "/100"),
    resource(5852, "On time", INTEGER, RW, ONE, OPTIONAL, "s"),
    resource(5853, "Muti-state Output", STRING, RW, ONE, OPTIONAL, ""),
];

const LIGHT_CONTROL: &[ResourceDefinition] = &[
    resource(5701, "Sensor Units", STRING, R, ONE, OPTIONAL, ""),
    resource(5706, "Colour", STRING, RW, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
    resource(5805, "Cumulative active power", FLOAT, R, ONE, OPTIONAL, "Wh"),
    resource(5820, "Power factor", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5850, "On/Off", BOOLEAN, RW, ONE, MANDATORY, ""),
    resource(5851, "Dimmer", INTEGER, RW, ONE, OPTIONAL, "/100"),
    resource(5852, "On time", INTEGER, RW, ONE, OPTIONAL, "s"),
];

const ACCELEROMETER: &[ResourceDefinition] = &[
    resource(5603, "Min Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5604, "Max Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5701, "Sensor Units", STRING, R, ONE, OPTIONAL, ""),
    resource(5702, "X Value", FLOAT, R, ONE, MANDATORY, ""),
    resource(5703, "Y Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5704, "Z Value", FLOAT, R, ONE, OPTIONAL, ""),
];

const BAROMETER: &[ResourceDefinition] = &[
    resource(5601, "Min Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5602, "Max Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5603, "Min Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5604, "Max Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5605, "Reset Min and Max Measured Values", NONE, E, ONE, OPTIONAL, ""),
    resource(5700, "Sensor Value", FLOAT, R, ONE, MANDATORY, ""),
    resource(5701, "Sensor Units", STRING, R, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
    resource(5821, "Current Calibration", FLOAT, RW, ONE, OPTIONAL, ""),
];

const VOLTAGE: &[ResourceDefinition] = &[
    resource(5601, "Min Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5602, "Max Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5603, "Min Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5604, "Max Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5605, "Reset Min and Max Measured Values", NONE, E, ONE, OPTIONAL, ""),
    resource(5700, "Sensor Value", FLOAT, R, ONE, MANDATORY, ""),
    resource(5701, "Sensor Units", STRING, R, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
    resource(5821, "Current Calibration", FLOAT, RW, ONE, OPTIONAL, ""),
];

const CURRENT: &[ResourceDefinition] = &[
    resource(5601, "Min Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5602, "Max Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5603, "Min Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5604, "Max Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5605, "Reset Min and Max Measured Values", NONE, E, ONE, OPTIONAL, ""),
    resource(5700, "Sensor Value", FLOAT, R, ONE, MANDATORY, ""),
    resource(5701, "Sensor Units", STRING, R, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
    resource(5821, "Current Calibration", FLOAT, RW, ONE, OPTIONAL, ""),
];

const PERCENTAGE: &[ResourceDefinition] = &[
    resource(5601, "Min Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5602, "Max Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5603, "Min Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5604, "Max Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5605, "Reset Min and Max Measured Values", NONE, E, ONE, OPTIONAL, ""),
    resource(5700, "Sensor Value", FLOAT, R, ONE, MANDATORY, ""),
    resource(5701, "Sensor Units", STRING, R, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
    resource(5821, "Current Calibration", FLOAT, RW, ONE, OPTIONAL, ""),
];

const PRESSURE: &[ResourceDefinition] = &[
    resource(5601, "Min Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5602, "Max Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5603, "Min Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5604, "Max Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5605, "Reset Min and Max Measured Values", NONE, E, ONE, OPTIONAL, ""),
    resource(5700, "Sensor Value", FLOAT, R, ONE, MANDATORY, ""),
    resource(5701, "Sensor Units", STRING, R, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
    resource(5821, "Current Calibration", FLOAT, RW, ONE, OPTIONAL, ""),
];

const POWER: &[ResourceDefinition] = &[
    resource(5601, "Min Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5602, "Max Measured Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5603, "Min Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5604, "Max Range Value", FLOAT, R, ONE, OPTIONAL, ""),
    resource(5605, "Reset Min and Max Measured Values", NONE, E, ONE, OPTIONAL, ""),
    resource(5700, "Sensor Value", FLOAT, R, ONE, MANDATORY, ""),
    resource(5701, "Sensor Units", STRING, R, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
    resource(5821, "Current Calibration", FLOAT, RW, ONE, OPTIONAL, ""),
];

const ON_OFF_SWITCH: &[ResourceDefinition] = &[
    resource(5500, "Digital Input State", BOOLEAN, R, ONE, MANDATORY, ""),
    resource(5501, "Digital Input Counter", INTEGER, R, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
    resource(5852, "On time", INTEGER, RW, ONE, OPTIONAL, "s"),
    resource(5854, "Off Time", INTEGER, RW, ONE, OPTIONAL, "s"),
];

const PUSH_BUTTON: &[ResourceDefinition] = &[
    resource(5500, "Digital Input State", BOOLEAN, R, ONE, MANDATORY, ""),
    resource(5501, "Digital Input Counter", INTEGER, R, ONE, OPTIONAL, ""),
    resource(5750, "Application Type", STRING, RW, ONE, OPTIONAL, ""),
];

const fn object(
    id: u16,
    name: &'static str,
    version: (u8, u8),
    multiple: bool,
    resources: &'static [ResourceDefinition],
) -> ObjectDefinition {
    ObjectDefinition {
        id,
        name: Cow::Borrowed(name),
        version: ObjectVersion::new(version.0, version.1),
        multiple,
        resources: Cow::Borrowed(resources),
    }
}

const fn resource(
    id: u16,
    name: &'static str,
    kind: Option<ValueKind>,
    operations: Operations,
    multiple: bool,
    mandatory: bool,
    units: &'static str,
) -> ResourceDefinition {
    ResourceDefinition {
        id,
        name: Cow::Borrowed(name),
        kind,
        operations,
        multiple,
        mandatory,
        units: Cow::Borrowed(units),
    }
}

// Short names keep one resource on one line of the table.
const INTEGER: Option<ValueKind> = Some(ValueKind::Integer);
const UNSIGNED: Option<ValueKind> = Some(ValueKind::Unsigned);
const FLOAT: Option<ValueKind> = Some(ValueKind::Float);
const BOOLEAN: Option<ValueKind> = Some(ValueKind::Boolean);
const STRING: Option<ValueKind> = Some(ValueKind::String);
const OPAQUE: Option<ValueKind> = Some(ValueKind::Opaque);
const TIME: Option<ValueKind> = Some(ValueKind::Time);
const OBJECTLINK: Option<ValueKind> = Some(ValueKind::ObjectLink);
const NONE: Option<ValueKind> = None;
const R: Operations = Operations::Read;
const W: Operations = Operations::Write;
const RW: Operations = Operations::ReadWrite;
const E: Operations = Operations::Execute;
const BOOTSTRAP: Operations = Operations::None;
const ONE: bool = false;
const MANY: bool = true;
const MANDATORY: bool = true;
const OPTIONAL: bool = false;
