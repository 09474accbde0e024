use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::{ObjectVersion, Path};

/// Builds a Register as it comes off the wire.
fn register(queries: &[&str], format: Option<u16>, links: &str) -> Request {
    let request = queries.iter().fold(Request::post("/rd"), |request, query| request.query(query));
    let request = match format {
        Some(format) => request.content_format(format),
        None => request,
    };
    request.payload(links.as_bytes().to_vec())
}

fn objects(links: &[(&str, Option<(u8, u8)>)]) -> Vec<RegisteredObject> {
    links
        .iter()
        .map(|(path, version)| RegisteredObject {
            path: path.parse().unwrap(),
            version: version.map(|(major, minor)| ObjectVersion::new(major, minor)),
        })
        .collect()
}

fn plain(endpoint: &str, lifetime_s: u32, links: ObjectLinks) -> RegisterRequest {
    let endpoint = EndpointName::new(endpoint).unwrap();
    RegisterRequest { lifetime_s, ..RegisterRequest::new(endpoint, links) }
}

/// Two clients of the Wakaama family: formats of the root, versions, bindings.
#[test]
fn wakaama() {
    let request = register(
        &["lwm2m=1.1", "ep=wk-client", "b=U", "lt=60"],
        Some(40),
        concat!(
            r#"</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</2/0>,</3/0>,</4/0>,</5/0>,"#,
            "</6/0>,</7/0>,</31024>;ver=1.0,</31024/10>,</31024/11>,</31024/12>",
        ),
    );
    let links = ObjectLinks {
        root: "/".into(),
        formats: vec![ContentFormat::SENML_JSON],
        objects: objects(&[
            ("/1", Some((1, 1))),
            ("/1/0", None),
            ("/2/0", None),
            ("/3/0", None),
            ("/4/0", None),
            ("/5/0", None),
            ("/6/0", None),
            ("/7/0", None),
            ("/31024", Some((1, 0))),
            ("/31024/10", None),
            ("/31024/11", None),
            ("/31024/12", None),
        ]),
    };
    let read = RegisterRequest::parse(&request).unwrap();
    assert_eq!(
        read,
        RegisterRequest { version: LwM2mVersion::V1_1, ..plain("wk-client", 60, links) }
    );
    assert_eq!(read.links.version(1), Some(ObjectVersion::new(1, 1)));
    assert_eq!(read.links.version(3), Some(ObjectVersion::new(1, 0)));
    assert_eq!(read.links.version(9), None);
    assert_eq!(read.links.instances(31024).collect::<Vec<_>>(), [10, 11, 12]);

    let request = register(
        &["lwm2m=1.0", "ep=wk", "b=U", "lt=300"],
        Some(40),
        r#"</>;rt="oma.lwm2m";ct=11543,</1/0>,</2/0>"#,
    );
    let links = ObjectLinks {
        formats: vec![ContentFormat::LWM2M_JSON],
        objects: objects(&[("/1/0", None), ("/2/0", None)]),
        ..ObjectLinks::default()
    };
    assert_eq!(RegisterRequest::parse(&request), Ok(plain("wk", 300, links)));
}

/// A client of version 1.1 and 1.2 that says no binding, and sleeps with a bare Q; objects without
/// instances; a server instance 1.
#[test]
fn sleeping_devices() {
    let links = "</1/1>,</2>,</3/0>,</5/0>,</9/0>,</9/1>,</10>;ver=1.1,</10/0>,</33629>";
    let check = |queries: &[&str], version: LwM2mVersion, queue_mode: bool| {
        let read = RegisterRequest::parse(&register(queries, Some(40), links)).unwrap();
        assert_eq!((read.version, read.queue_mode), (version, queue_mode), "{queries:?}");
        assert_eq!(read.binding, BindingMode::UDP);
        assert!(read.links.has(Path::instance(9, 1)) && read.links.has(Path::object(33629)));
        assert!(!read.links.has(Path::object(6)) && !read.links.has(Path::instance(1, 0)));
        assert_eq!(read.links.instances(2).count(), 0);
        assert_eq!(read.attributes, []);
    };
    check(&["lwm2m=1.2", "ep=a", "lt=60"], LwM2mVersion::V1_2, false);
    check(&["lwm2m=1.1", "ep=a", "lt=60", "Q"], LwM2mVersion::V1_1, true);
    check(&["lwm2m=1.0", "ep=a", "lt=60", "b=UQ"], LwM2mVersion::V1_0, true);
}

/// Two clients written in JavaScript: no content format, a third version number, odd root, own
/// queries; and next to nothing said at all.
#[test]
fn terse_devices() {
    let request = register(
        &["ep=node", "lt=85671", "lwm2m=1.0.0", "mac=AA:BB", "hello"],
        Some(40),
        "</>;ct=11543;hb,</3/0>,</4/0>,</3303/0>",
    );
    let links = ObjectLinks {
        formats: vec![ContentFormat::LWM2M_JSON],
        objects: objects(&[("/3/0", None), ("/4/0", None), ("/3303/0", None)]),
        ..ObjectLinks::default()
    };
    let attributes = vec![("mac".into(), "AA:BB".into()), ("hello".into(), String::new())];
    let expected = RegisterRequest { attributes, ..plain("node", 85671, links) };
    assert_eq!(RegisterRequest::parse(&request), Ok(expected));

    let links = ObjectLinks {
        objects: objects(&[("/3/0", None), ("/3303/0", None)]),
        ..ObjectLinks::default()
    };
    let request = register(&["ep=lib", "lt=85", "lwm2m=1.0", "b=U"], None, "</3/0>,</3303/0>");
    assert_eq!(RegisterRequest::parse(&request), Ok(plain("lib", 85, links.clone())));
    let request = register(&["ep=lib"], None, "</3/0>,</3303/0>");
    assert_eq!(RegisterRequest::parse(&request), Ok(plain("lib", 86_400, links)));
}

#[test]
fn links_of_devices() {
    let check = |text: &str, root: &str, formats: &[u16], paths: &[&str]| {
        let read = ObjectLinks::parse(&LinkLimits::default(), text).unwrap();
        assert_eq!(read.root, root, "{text}");
        assert_eq!(read.formats.iter().map(|format| format.0).collect::<Vec<_>>(), formats);
        assert_eq!(
            read.objects.iter().map(|object| object.path.to_string()).collect::<Vec<_>>(),
            paths
        );
    };
    // Repeated and listed formats.
    check("</>;ct=110;ct=112,</3/0>", "/", &[110, 112], &["/3/0"]);
    check(r#"</>;rt="oma.lwm2m";ct="110 112 110",</3/0>"#, "/", &[110, 112], &["/3/0"]);
    // An alternate root, with and without it in front of the objects.
    let text = r#"</lwm2m>;rt="oma.lwm2m";ct=110,</lwm2m/1/0>,</lwm2m/3/0>"#;
    check(text, "/lwm2m", &[110], &["/1/0", "/3/0"]);
    check(r#"</lwm2m>;rt="oma.lwm2m",</3/0>"#, "/lwm2m", &[], &["/3/0"]);
    let text = r#"</>,</lwm2m>;rt="oma.lwm2m",</lwm2m/3/0>"#;
    check(text, "/lwm2m", &[], &["/3/0"]);
    // Things that are no objects, repetitions, any order.
    check(
        "</sensors/t>;rt=\"x\",<coap://h/3/0>,</3/0/9>,</5>,</3/0>,</3/0>",
        "/",
        &[],
        &["/3/0", "/5"],
    );
    // A quoted version, as 1.0 writes it.
    let read = ObjectLinks::parse(&LinkLimits::default(), r#"</1>;ver="1.1",</1/0>"#).unwrap();
    assert_eq!(read.version(1), Some(ObjectVersion::new(1, 1)));
}

#[test]
fn refusals() {
    let check = |queries: &[&str], format: Option<u16>, links: &str, code: Code| {
        let error = RegisterRequest::parse(&register(queries, format, links)).unwrap_err();
        assert_eq!(error.code(), code, "{queries:?}: {error}");
        error
    };
    let links = "</3/0>";
    let bad = Code::BAD_REQUEST;
    assert_eq!(check(&[], None, links, bad), RegistrationError::NoEndpoint);
    // The leaking datagram of CVE-2019-9004: an empty Content-Format and nothing else.
    assert_eq!(check(&[], Some(0), "", bad), RegistrationError::NoObjects);
    let name = EndpointNameError::Empty;
    assert_eq!(check(&["ep="], None, links, bad), RegistrationError::Endpoint(name));
    check(&[&format!("ep={}", "x".repeat(256))], None, links, bad);
    assert_eq!(check(&["ep=a", "ep=b"], None, links, bad), RegistrationError::Twice("ep"));
    for lifetime in ["lt=", "lt=-1", "lt=+1", "lt=x", "lt=1.5", "lt=4294967296", "lt=99999999999"] {
        assert_eq!(check(&["ep=a", lifetime], None, links, bad), RegistrationError::Lifetime);
    }
    assert_eq!(check(&["ep=a", "b=XYZ"], None, links, bad), RegistrationError::Binding);
    check(&["ep=a", "lwm2m=9.9"], None, links, Code::PRECONDITION_FAILED);
    check(&["ep=a"], Some(110), "[]", Code::UNSUPPORTED_CONTENT_FORMAT);
    assert_eq!(check(&["ep=a"], Some(40), "", bad), RegistrationError::NoObjects);
    assert_eq!(check(&["ep=a"], Some(40), "</x>,</3/0/1>", bad), RegistrationError::NoObjects);
    check(&["ep=a"], Some(40), "3/0", bad);
    let mut many = String::new();
    for object in 0..65_535 {
        write!(many, "</{object}>,").unwrap();
    }
    check(&["ep=a"], Some(40), &many, Code::REQUEST_ENTITY_TOO_LARGE);
    let strange: Vec<String> = (0..17).map(|number| format!("q{number}=1")).collect();
    let strange: Vec<&str> =
        ["ep=a"].into_iter().chain(strange.iter().map(String::as_str)).collect();
    assert_eq!(check(&strange, None, links, bad), RegistrationError::TooManyAttributes);
}

/// LwM2M 1.1 TS core, section 6.2.1.1: the name goes with the credentials.
#[test]
fn proved_identities() {
    let identity = EndpointName::new("urn:a").unwrap();
    let parse = |queries: &[&str]| {
        let request = register(queries, Some(40), "</3/0>");
        RegisterRequest::parse_within(&RegistrationLimits::default(), &request, Some(&identity))
    };
    assert_eq!(parse(&["lt=60"]).unwrap().endpoint, identity);
    assert_eq!(parse(&["ep=urn:a"]).unwrap().endpoint, identity);
    let error = parse(&["ep=urn:b"]).unwrap_err();
    assert_eq!(error.code(), Code::FORBIDDEN);
}

#[test]
fn updates() {
    let read =
        |queries: &[&str], links: &str| UpdateRequest::parse(&register(queries, None, links));
    assert_eq!(read(&[], ""), Ok(UpdateRequest::default()));
    let start = |version, queue_mode| RegisterRequest {
        version,
        queue_mode,
        ..plain("a", 60, ObjectLinks { objects: objects(&[("/3/0", None)]), ..Default::default() })
    };
    let check = |start: &RegisterRequest, queries: &[&str], links: &str, changed: bool| {
        let mut registration = start.clone();
        assert_eq!(read(queries, links).unwrap().apply(&mut registration), changed);
        registration
    };
    let old = start(LwM2mVersion::V1_0, false);
    assert_eq!(check(&old, &[], "", false), old);
    assert_eq!(check(&old, &["lt=0"], "", false).lifetime_s, 0);
    assert_eq!(check(&old, &["sms=+49"], "", false).sms_number.as_deref(), Some("+49"));
    assert_eq!(check(&old, &["lwm2m=1.1", "ep=b"], "", false), old);
    assert_eq!(check(&old, &[], "</3/0>", false), old);
    assert!(check(&old, &[], "</3/0>,</5/0>", true).links.has(Path::object(5)));
    assert!(check(&old, &["b=UQ"], "", false).queue_mode);
    // In 1.0 the binding says all about sleep, from 1.1 on nothing.
    assert!(!check(&start(LwM2mVersion::V1_0, true), &["b=U"], "", false).queue_mode);
    let moved = check(&start(LwM2mVersion::V1_1, true), &["b=T"], "", false);
    assert!(moved.queue_mode && moved.binding.contains('T') && !moved.binding.contains('U'));
    assert_eq!(read(&["lt=x"], ""), Err(RegistrationError::Lifetime));
    assert_eq!(read(&[], "garbage").unwrap_err().code(), Code::BAD_REQUEST);
}

fn any_registration() -> impl Strategy<Value = RegisterRequest> {
    let version =
        prop::sample::select(vec![LwM2mVersion::V1_0, LwM2mVersion::V1_1, LwM2mVersion::V1_2]);
    let object = (0u16..65535, prop::option::of(0u16..65535), prop::option::of((0u8..9, 0u8..9)));
    let formats = prop::collection::vec(0u16..20_000, 0..3);
    let links =
        (prop::sample::select(vec!["/", "/lwm2m"]), formats, prop::collection::vec(object, 1..9));
    let links = links.prop_map(|(root, mut formats, found)| {
        formats.sort_unstable();
        formats.dedup();
        let formats = formats.into_iter().map(ContentFormat).collect();
        let mut objects: Vec<RegisteredObject> = found
            .into_iter()
            .map(|(object, instance, version)| RegisteredObject {
                path: match instance {
                    Some(id) => Path::instance(object, id),
                    None => Path::object(object),
                },
                version: version.map(|(major, minor)| ObjectVersion::new(major, minor)),
            })
            .collect();
        objects.sort_by_key(|object| object.path);
        objects.dedup_by_key(|object| object.path);
        ObjectLinks { root: root.to_owned(), formats, objects }
    });
    let attribute = ("x[a-z]{1,5}", "[a-zA-Z0-9:=]{0,9}");
    (
        "[a-zA-Z0-9:=,é-]{1,20}",
        any::<u32>(),
        version,
        any::<bool>(),
        prop::option::of("[0-9]{1,9}"),
        links,
        prop::collection::vec(attribute, 0..4),
    )
        .prop_map(
            |(endpoint, lifetime_s, version, queue_mode, sms_number, links, attributes)| {
                let endpoint = EndpointName::new(&endpoint).unwrap();
                RegisterRequest {
                    lifetime_s,
                    version,
                    queue_mode,
                    sms_number,
                    attributes,
                    ..RegisterRequest::new(endpoint, links)
                }
            },
        )
}

proptest! {
    #[test]
    fn registrations_read_back(registration in any_registration()) {
        let read = RegisterRequest::parse(&registration.to_request());
        prop_assert_eq!(read.as_ref(), Ok(&registration));
        let queries = registration.queries();
        let kept = RegisterRequest::from_parts(
            queries.iter().map(String::as_str),
            &registration.links.to_string(),
        );
        prop_assert_eq!(kept, Ok(registration));
    }

    #[test]
    fn anything_is_safe(
        queries in prop::collection::vec("(ep|lt|b|lwm2m|Q|x)?=?[ -~é]{0,8}", 0..6),
        payload in prop::collection::vec(any::<u8>(), 0..60),
        links in r#"(<|>|/|,|;|=|"|ct|ver|rt|oma.lwm2m|1|.| ){0,30}"#,
    ) {
        for payload in [payload, links.into_bytes()] {
            let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
            let request = register(&queries, None, "").payload(payload);
            let _ = RegisterRequest::parse(&request);
            let _ = UpdateRequest::parse(&request);
        }
    }
}
