//! The part of JSON Schema that `docs/shmq.schema.json` uses: type, enum, required, properties,
//! additionalProperties, items, $ref.

use serde_json::Value;

/// Fails unless `value` is what the schema calls `definition`.
#[track_caller]
pub fn check(value: &Value, definition: &str) {
    let schema: Value = serde_json::from_str(include_str!("../../../docs/shmq.schema.json")).expect("the schema is JSON");
    let mut faults = Vec::new();
    judge(value, &schema["$defs"][definition], &schema, definition, &mut faults);
    assert!(faults.is_empty(), "{faults:#?}\nin {value:#}");
}

fn judge(value: &Value, by: &Value, schema: &Value, at: &str, faults: &mut Vec<String>) {
    let Value::Object(rules) = by else { return faults.push(format!("{at}: the schema says nothing")) };
    for (rule, wanted) in rules {
        match rule.as_str() {
            "$ref" => {
                let name = wanted.as_str().and_then(|path| path.strip_prefix("#/$defs/")).expect("a local reference");
                judge(value, &schema["$defs"][name], schema, at, faults);
            }
            "type" => {
                let kinds = if let Value::Array(kinds) = wanted { kinds.clone() } else { vec![wanted.clone()] };
                if !kinds.iter().any(|kind| is_of(value, kind.as_str().expect("a name"))) {
                    faults.push(format!("{at}: {value} is no {wanted}"));
                }
            }
            "enum" => {
                if !wanted.as_array().expect("a list").contains(value) {
                    faults.push(format!("{at}: {value} is none of {wanted}"));
                }
            }
            "required" => {
                let missing = wanted.as_array().expect("a list").iter().filter_map(Value::as_str);
                let missing = missing.filter(|name| value.is_object() && value.get(name).is_none());
                faults.extend(missing.map(|name| format!("{at}: {name} is missing")));
            }
            "properties" => {
                for (name, rule) in wanted.as_object().expect("rules") {
                    if let Some(property) = value.get(name) {
                        judge(property, rule, schema, &format!("{at}.{name}"), faults);
                    }
                }
            }
            "additionalProperties" => {
                assert_eq!(wanted, &Value::Bool(false));
                let known = rules["properties"].as_object().expect("rules");
                let unknown =
                    value.as_object().into_iter().flatten().map(|(name, _)| name).filter(|name| !known.contains_key(*name));
                faults.extend(unknown.map(|name| format!("{at}: {name} is unknown")));
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    judge(item, wanted, schema, &format!("{at}[{index}]"), faults);
                }
            }
            other => panic!("{at}: a rule that this checker does not know: {other}"),
        }
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no such type: {other}"),
    }
}

#[test]
fn the_checker_finds_faults() {
    use serde_json::json;
    let refused = |value: Value, definition: &'static str| {
        let refused = std::panic::catch_unwind(move || check(&value, definition)).is_err();
        assert!(refused);
    };
    check(&json!({ "drained": 1 }), "drain");
    refused(json!({ "drained": "1" }), "drain");
    refused(json!({}), "drain");
    refused(json!({ "drained": 1, "more": 1 }), "drain");
    refused(json!([{ "length": 1 }]), "peek");
    refused(json!([{ "name": "", "state": "wrong", "owner_uid": 0, "error": null }]), "ls");
}
