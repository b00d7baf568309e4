use proptest::prelude::*;
use tagout_proto::{Document, Frame, Limits};

fn tree() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 60, 8, |inside| {
        prop_oneof![
            prop::collection::vec(inside.clone(), 0..8).prop_map(Into::into),
            prop::collection::btree_map(".{0,6}", inside, 0..20)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ignored = Frame::read(&bytes, Limits::default());
    }

    #[test]
    fn nearly_json_never_panics(text in r#"[{}\[\]",:0-9eE+.\\utrfalsn -]{0,60}"#) {
        let ours = Document::read(text.as_bytes(), Limits::default());
        // Whatever is accepted here is JSON.
        if ours.is_ok() {
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn any_tree_is_read_as_written(tree in tree()) {
        for text in [tree.to_string(), serde_json::to_string_pretty(&tree).unwrap()] {
            let document = Document::read(text.as_bytes(), Limits::default()).unwrap();
            prop_assert_eq!(document.root().to_tree().unwrap(), tree.clone());
            prop_assert_eq!(document.text(), text);
        }
    }

    #[test]
    fn canonical_form_ignores_order_and_space(tree in tree()) {
        let read = |text: &str| {
            Document::read(text.as_bytes(), Limits::default()).unwrap().root().canonical()
        };
        let pretty = serde_json::to_string_pretty(&tree).unwrap();
        prop_assert_eq!(read(&pretty), read(&tree.to_string()));
    }

    #[test]
    fn a_repeated_key_is_refused(key in ".{0,8}", others in prop::collection::btree_set("[a-z]{3}", 0..40)) {
        let quote = |k: &str| serde_json::Value::from(k).to_string();
        let mut members: Vec<_> = others.iter().map(|k| format!("{}:1", quote(k))).collect();
        members.push(format!("{}:1", quote(&key)));
        members.insert(0, format!("{}:2", quote(&key)));
        let text = format!("[{{{}}}]", members.join(","));
        prop_assert!(Document::read(text.as_bytes(), Limits::default()).is_err());
    }
}
