//! Devices that others wrote register with our server and do what it asks.

use api::{DeviceDetail, Presence, Value};

use crate::peer::{Peer, installed};
use crate::place::{Place, Target, eventually};

/// Wakaama, in C, of LwM2M 1.0: reads in the device's TLV, plain writes, execution, notifications,
/// and being found by identification.
#[test]
fn wakaama() {
    let Some(peers) = installed("wakaama") else { return };
    let place = Place::start();
    let mut command = peers.wakaama("client");
    // Local port 0 is any; the lifetime is in seconds.
    command.args(["-4", "-n", "wakaama", "-l", "0", "-h", "127.0.0.1", "-t", "60"]);
    let mut client = Peer::start({
        command.args(["-p", &place.coap.port().to_string()]);
        command
    });
    let device = place.identified("wakaama");
    let identity = ("Open Mobile Alliance", "Lightweight M2M Client", "1.0");
    check_identity(&device, identity);
    assert_eq!((device.summary.presence, device.lifetime_s), (Presence::Online, 60));
    eventually("charge and signal, asked for one after the other", || {
        let summary = place.client.device("wakaama").expect("a device").summary;
        let known = (summary.battery_percent?, summary.signal_dbm?);
        (known == (100, 80)).then_some(())
    });

    let instance = place.client.read("wakaama", "/3/0").expect("an instance");
    assert!(instance.values.len() > 10, "{instance:?}");
    assert_eq!(place.read("wakaama", "/3/0/2"), Value::Text("345000123".to_owned()));
    assert_eq!(place.read("wakaama", "/3/0/9"), Value::Integer(100));
    let voltages = place.client.read("wakaama", "/3/0/7").expect("a resource").values;
    let voltages = voltages.iter().map(|voltage| (voltage.path.as_str(), voltage.value.clone()));
    assert!(voltages.eq([
        ("/3/0/7/0", Some(Value::Integer(3_800))),
        ("/3/0/7/1", Some(Value::Integer(5_000))),
    ]));
    let missing = Place::refused(place.client.read("wakaama", "/3/0/99"));
    assert!(missing.contains("4.04"), "{missing}");

    let written = place.client.write("wakaama", "/1/0/1", Value::Integer(120)).expect("a write");
    assert_eq!(written.code, "2.04");
    assert_eq!(place.read("wakaama", "/1/0/1"), Value::Integer(120));

    // The server observes the charge by itself, because requirements depend on it.
    client.type_line("change /3/0/9 55");
    eventually("the notification", || {
        let device = place.client.device("wakaama").expect("a device");
        (device.summary.battery_percent == Some(55)).then_some(())
    });
    check_plan(&place, identity, "2.0");

    let executed = place.client.execute("wakaama", "/5/0/2", "").expect("an execution");
    assert_eq!(executed.code, "2.04");
    client.says("FIRMWARE UPDATE", 0);
    let executed = place.client.execute("wakaama", "/3/0/4", "").expect("a reboot");
    assert_eq!(executed.code, "2.04");
    client.says("REBOOT", 0);
}

/// Wakaama leaves in order: the device stays in the list, offline.
#[test]
fn wakaama_leaves() {
    let Some(peers) = installed("wakaama_leaves") else { return };
    let place = Place::start();
    let mut command = peers.wakaama("client");
    command.args(["-4", "-n", "leaver", "-l", "0", "-h", "127.0.0.1", "-t", "60"]);
    command.args(["-p", &place.coap.port().to_string()]);
    let mut client = Peer::start(command);
    assert!(place.identified("leaver").registration.is_some());
    client.type_line("quit");
    eventually("the deregistration", || {
        let device = place.client.device("leaver").expect("a device");
        let offline = device.summary.presence == Presence::Offline;
        (offline && device.registration.is_none()).then_some(())
    });
}

/// coap-node announces version `1.0.0`, sends an attribute nobody knows, does not listen at once
/// after it registered, and has no resource to observe the battery.
#[test]
fn coap_node() {
    let Some(peers) = installed("coap_node") else { return };
    let place = Place::start();
    let mut client = Peer::start({
        let mut command = peers.node("coap-node.js");
        command.args([&place.coap.port().to_string(), "coap-node"]);
        command
    });
    let device = place.identified("coap-node");
    let identity = ("Sivann", "cnode-01", "1.0.0");
    check_identity(&device, identity);
    assert_eq!(device.summary.hardware.as_deref(), Some("B"));
    assert_eq!(device.lifetime_s, 300);
    assert_eq!(device.summary.battery_percent, None, "4.04 to the observation is no answer");

    assert_eq!(place.read("coap-node", "/3/0/1"), Value::Text("cnode-01".to_owned()));
    assert_eq!(place.read("coap-node", "/3303/0/5700"), Value::Float(21.5));
    eventually("the new temperature", || {
        // Said again each time: on a busy machine the program may not listen yet.
        client.type_line("set 22.5");
        (place.read("coap-node", "/3303/0/5700") == Value::Float(22.5)).then_some(())
    });
    let missing = Place::refused(place.client.read("coap-node", "/3/0/9"));
    assert!(missing.contains("4.04"), "{missing}");

    let written = place.client.write("coap-node", "/3311/0/5850", Value::Boolean(true));
    assert_eq!(written.expect("a write").code, "2.04");
    assert_eq!(place.read("coap-node", "/3311/0/5850"), Value::Boolean(true));
    let executed = place.client.execute("coap-node", "/3306/0/5850", "");
    assert_eq!(executed.expect("an execution").code, "2.04");
    client.says("executed", 0);
    check_plan(&place, identity, "1.1.0");
}

/// lwm2m-node-lib registers without a Content-Format and refuses to read more than one resource
/// at once; who it is has to be asked one by one.
#[test]
fn lwm2m_node_lib() {
    let Some(peers) = installed("lwm2m_node_lib") else { return };
    let place = Place::start();
    let client = Peer::start({
        let mut command = peers.node("lwm2m-node-lib.js");
        command.args([&place.coap.port().to_string(), "node-lib"]);
        command
    });
    let device = place.identified("node-lib");
    let identity = ("Telefonica", "node-lib", "0.9.0");
    check_identity(&device, identity);
    eventually("the hardware revision", || {
        let device = place.client.device("node-lib").expect("a device");
        (device.summary.hardware.as_deref() == Some("A")).then_some(())
    });

    let instance = Place::refused(place.client.read("node-lib", "/3/0"));
    assert!(instance.contains("4.04"), "{instance}");
    assert_eq!(place.read("node-lib", "/3/0/9"), Value::Integer(81));
    let executed = place.client.execute("node-lib", "/3/0/4", "").expect("an execution");
    assert_eq!(executed.code, "2.04");
    client.says("taken /3/0/4", 0);
    // It lets anything be written, and tells observers.
    assert!(place.client.write("node-lib", "/3/0/9", Value::Integer(42)).is_ok());
    client.says("taken /3/0/9 42", 0);
    eventually("the notification", || {
        let device = place.client.device("node-lib").expect("a device");
        (device.summary.battery_percent == Some(42)).then_some(())
    });
    check_plan(&place, identity, "1.0.0");
}

fn check_identity(device: &DeviceDetail, (manufacturer, model, version): (&str, &str, &str)) {
    let summary = &device.summary;
    let known = [&summary.manufacturer, &summary.model, &summary.version].map(Option::as_deref);
    assert_eq!(known, [Some(manufacturer), Some(model), Some(version)]);
}

/// A release for exactly this model finds the device at its version, one for another does not.
fn check_plan(place: &Place, (manufacturer, model, version): (&str, &str, &str), newer: &str) {
    place.publish(Target { manufacturer, model }, newer, b"an image");
    let plan = place.plan();
    assert_eq!((plan.targets, plan.eligible, plan.excluded), (1, 1, 0), "{plan:?}");
    assert_eq!(plan.paths[0].from, version, "{plan:?}");

    let other = Target { manufacturer, model: "another model" };
    place.publish(other, "9.9", b"another image");
    let plan = place.plan();
    assert_eq!((plan.targets, plan.excluded), (0, 1), "{plan:?}");
    assert_eq!(plan.reasons[0].code, "not_target.model", "{plan:?}");
}
