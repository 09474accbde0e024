//! What is written reads back; what is hostile never panics.

use proptest::prelude::*;

use super::*;

fn any_value(kind: ValueKind) -> BoxedStrategy<Value> {
    match kind {
        ValueKind::Integer => integer().prop_map(Value::Integer).boxed(),
        ValueKind::Unsigned => {
            integer().prop_map(|number| Value::Unsigned(number.cast_unsigned())).boxed()
        }
        ValueKind::Float => prop_oneof![
            any::<f64>(),
            any::<f32>().prop_map(f64::from),
            (-100i8..100).prop_map(f64::from)
        ]
        .prop_filter("JSON has only finite numbers", |number| number.is_finite())
        .prop_map(Value::Float)
        .boxed(),
        ValueKind::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        ValueKind::String => ".{0,20}".prop_map(Value::String).boxed(),
        ValueKind::Opaque => prop::collection::vec(any::<u8>(), 0..300)
            .prop_map(|bytes| Value::Opaque(bytes.into()))
            .boxed(),
        ValueKind::Time => integer().prop_map(Value::Time).boxed(),
        ValueKind::ObjectLink => {
            any::<(u16, u16)>().prop_map(|(a, b)| Value::ObjectLink(a, b)).boxed()
        }
        ValueKind::CoreLink => "</[0-9/]{1,6}>".prop_map(Value::CoreLink).boxed(),
    }
}

/// Numbers of every length, the edges of each length among them.
fn integer() -> impl Strategy<Value = i64> {
    (any::<i64>(), 0u32..64).prop_map(|(number, shift)| number >> shift)
}

fn any_leaf() -> impl Strategy<Value = Leaf> {
    let ids = (prop_oneof![0u16..3, 300u16..302], 0u16..9, any::<bool>(), 0u16..300);
    ids.prop_flat_map(|(instance, kind, multiple, id)| {
        let path = if multiple {
            Path::resource_instance(OBJECT, instance, 20 + kind, id)
        } else {
            Path::resource(OBJECT, instance, kind)
        };
        any_value(KINDS[usize::from(kind)]).prop_map(move |value| Leaf::new(path, value))
    })
}

/// Leaves in the order of their paths, each place once.
fn any_leaves() -> impl Strategy<Value = Vec<Leaf>> {
    prop::collection::vec(any_leaf(), 0..12).prop_map(|leaves| {
        let places: std::collections::BTreeMap<Path, Leaf> =
            leaves.into_iter().map(|leaf| (leaf.path, leaf)).collect();
        places.into_values().collect()
    })
}

fn any_base() -> impl Strategy<Value = Path> {
    let ids = prop_oneof![Just(OBJECT), Just(3), Just(5), any::<u16>().prop_map(|id| id % 65535)];
    prop::collection::vec(ids, 0..=4).prop_map(|ids| Path::try_from(ids.as_slice()).unwrap())
}

proptest! {
    #[test]
    fn objects_read_back(leaves in any_leaves()) {
        let definitions = every_kind();
        for format in FORMATS.into_iter().filter(|format| !format.is_single_value()) {
            let base = Path::object(OBJECT);
            let payload = encode(format, base, &leaves).unwrap();
            let read = decode(format, base, &payload, &definitions);
            prop_assert_eq!(read.as_ref(), Ok(&leaves), "{}", format);
        }
    }

    #[test]
    fn single_values_read_back(leaf in any_leaf()) {
        let definitions = every_kind();
        for format in FORMATS {
            if format == ContentFormat::OPAQUE && leaf.value.as_bytes().is_none() {
                continue;
            }
            let payload = encode(format, leaf.path, std::slice::from_ref(&leaf)).unwrap();
            let read = decode(format, leaf.path, &payload, &definitions);
            prop_assert_eq!(read, Ok(vec![leaf.clone()]), "{}", format);
        }
    }

    #[test]
    fn times_read_back(
        leaves in any_leaves(),
        times in prop::collection::vec(prop::option::of(-1e10..1e10f64), 12),
        shared: bool,
    ) {
        let timed: Vec<Leaf> = leaves
            .into_iter()
            .zip(&times)
            .map(|(leaf, time_s)| Leaf { time_s: if shared { times[0] } else { *time_s }, ..leaf })
            .collect();
        for format in [ContentFormat::SENML_JSON, ContentFormat::SENML_CBOR, ContentFormat::LWM2M_JSON] {
            let payload = encode(format, Path::ROOT, &timed).unwrap();
            let read = decode(format, Path::ROOT, &payload, &every_kind());
            prop_assert_eq!(read.as_ref(), Ok(&timed), "{}", format);
        }
    }

    #[test]
    fn any_bytes_are_safe(base in any_base(), payload in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in FORMATS {
            let limits = CodecLimits { payload_bytes_max: 4096, leaves_max: 64 };
            for definitions in [Definitions::core(), every_kind()] {
                if let Ok(leaves) = decode_within(&limits, format, base, &payload, &definitions) {
                    prop_assert!(leaves.len() <= limits.leaves_max);
                    prop_assert!(leaves.iter().all(|leaf| base.is_prefix_of(leaf.path)));
                }
            }
            let _ = decode_paths(format, &payload);
        }
    }

    #[test]
    fn damaged_payloads_are_safe(
        leaves in any_leaves(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let definitions = every_kind();
        let base = Path::object(OBJECT);
        for format in FORMATS.into_iter().filter(|format| !format.is_single_value()) {
            let mut payload = encode(format, base, &leaves).unwrap().to_vec();
            for (place, byte) in &damage {
                if !payload.is_empty() {
                    let place = place.index(payload.len());
                    payload[place] = *byte;
                }
            }
            let _ = decode(format, base, &payload, &definitions);
            payload.truncate(cut.index(payload.len() + 1));
            let _ = decode(format, base, &payload, &definitions);
        }
    }

    #[test]
    fn any_text_is_safe(payload in r#"(\[|\{|\]|\}|"bn"|"n"|"v"|"vs"|"e"|:|,|/3/0/9|"|1e9|-){0,40}"#) {
        for format in [ContentFormat::SENML_JSON, ContentFormat::LWM2M_JSON, ContentFormat::TEXT] {
            let _ = decode(format, Path::object(3), payload.as_bytes(), &Definitions::core());
        }
    }
}
