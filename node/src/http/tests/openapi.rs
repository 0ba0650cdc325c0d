//! The interface's description against the interface: every path both ways, and every answer that any
//! test gets.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::http::Method;
use axum::routing::MethodFilter;
use serde_json::{Map, Value};

use super::super::ENDPOINTS;
use super::super::error::CODES;
use super::super::health::OPENAPI;
use super::world::Reply;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(OPENAPI).unwrap());

fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(to) => {
            resolved(DOCUMENT.pointer(to.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{to} leads nowhere")))
        }
        None => value,
    }
}

fn members(value: &'static Value) -> impl Iterator<Item = (&'static String, &'static Value)> {
    value.as_object().unwrap().iter()
}

/// Whether an answer is what the document says of its method, path and status.
pub(super) fn conforms(method: &Method, path: &str, reply: &Reply) -> Result<(), String> {
    let path = path.split('?').next().unwrap();
    let status = reply.status.as_str();
    let content = match operation(method, path) {
        Some(operation) => {
            let response = operation["responses"].get(status).ok_or("its status is not documented")?;
            &resolved(response)["content"]
        }
        None if matches!(status, "404" | "405") && super::super::authzen::speaks_at(path) => {
            &DOCUMENT["components"]["responses"]["AuthzenFault"]["content"]
        }
        None if matches!(status, "404" | "405") => &DOCUMENT["components"]["responses"]["NotFound"]["content"],
        None => return Err("a path that is not documented".into()),
    };
    let media = reply.header("content-type").unwrap_or("none").split(';').next().unwrap();
    let schema = &content.get(media).ok_or_else(|| format!("the media type {media} is not documented"))?["schema"];
    if *method == Method::HEAD {
        return if reply.body.is_empty() { Ok(()) } else { Err("an answer to HEAD has a body".into()) };
    }
    if !media.ends_with("json") {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(&reply.body).map_err(|error| error.to_string())?;
    if media == "application/problem+json" && body["status"] != reply.status.as_u16() {
        return Err("the problem tells another status".into());
    }
    fits(schema, &body, "")
}

/// Whether the data of an event is what the document says.
pub(super) fn event_conforms(event: &str, data: &Value) -> Result<(), String> {
    let events = "/paths/~1v1~1watch/get/responses/200/content/text~1event-stream/x-events";
    let schema = DOCUMENT.pointer(events).and_then(|events| events.get(event));
    fits(schema.ok_or("the event is not documented")?, data, event)
}

fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let method = match *method {
        Method::GET | Method::HEAD => "get",
        Method::POST => "post",
        _ => return None,
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let matches = |template: &str| {
        let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
        template.len() == path.len()
            && template
                .iter()
                .zip(&path)
                .all(|(own, asked)| own == asked || (own.starts_with('{') && !asked.is_empty()))
    };
    let item =
        paths.get(path).or_else(|| paths.iter().find(|(template, _)| matches(template)).map(|(_, item)| item))?;
    item.get(method)
}

/// A checker of the part of JSON Schema that the document uses. Members that no schema names are refused,
/// so that the document names them all.
fn fits(schema: &'static Value, value: &Value, at: &str) -> Result<(), String> {
    let fault = |what: &str| Err(format!("`{at}` {what}: {value}"));
    let schema_words = resolved(schema);
    for (word, rule) in members(schema_words) {
        match word.as_str() {
            "description" | "format" | "contentEncoding" | "default" | "example" | "additionalProperties" => {}
            "type" => {
                let types: Vec<&str> = rule.as_array().map_or_else(
                    || vec![rule.as_str().unwrap()],
                    |types| types.iter().map(|one| one.as_str().unwrap()).collect(),
                );
                if !types.iter().any(|one| has_type(value, one)) {
                    return fault(&format!("is not of type {types:?}"));
                }
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    if value.get(name.as_str().unwrap()).is_none() {
                        return fault(&format!("lacks {name}"));
                    }
                }
            }
            "properties" => {
                let Some(object) = value.as_object() else { continue };
                for (name, inner) in object {
                    let Some(own) = rule.get(name) else {
                        return fault(&format!("has a member `{name}` that is not documented"));
                    };
                    fits(own, inner, &format!("{at}/{name}"))?;
                }
            }
            "items" => {
                for (n, inner) in value.as_array().into_iter().flatten().enumerate() {
                    fits(rule, inner, &format!("{at}/{n}"))?;
                }
            }
            "prefixItems" => {
                for (rule, inner) in rule.as_array().unwrap().iter().zip(value.as_array().into_iter().flatten()) {
                    fits(rule, inner, at)?;
                }
            }
            "minItems" | "maxItems" => {
                let (found, bound) = (value.as_array().map_or(0, Vec::len) as u64, rule.as_u64().unwrap());
                if (word == "minItems" && found < bound) || (word == "maxItems" && found > bound) {
                    return fault("has another number of items");
                }
            }
            "minimum" | "maximum" => {
                let Some(found) = value.as_u64() else { continue };
                let bound = rule.as_u64().unwrap();
                if (word == "minimum" && found < bound) || (word == "maximum" && found > bound) {
                    return fault("is out of range");
                }
            }
            "maxLength" => {
                if value.as_str().is_some_and(|text| text.len() as u64 > rule.as_u64().unwrap()) {
                    return fault("is too long");
                }
            }
            "enum" => {
                if !rule.as_array().unwrap().contains(value) {
                    return fault("is none of the values");
                }
            }
            "pattern" => {
                if value.as_str().is_some_and(|text| !has_pattern(rule.as_str().unwrap(), text)) {
                    return fault("does not have the form");
                }
            }
            "anyOf" => {
                let all: Vec<_> = rule.as_array().unwrap().iter().map(|one| fits(one, value, at)).collect();
                if all.iter().all(Result::is_err) {
                    return Err(all.into_iter().filter_map(Result::err).collect::<Vec<_>>().join("; or "));
                }
            }
            other => panic!("the checker does not know `{other}`"),
        }
    }
    Ok(())
}

fn has_type(value: &Value, one: &str) -> bool {
    match one {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the checker does not know the type `{other}`"),
    }
}

/// The few patterns of the document, spelled out.
fn has_pattern(pattern: &str, text: &str) -> bool {
    let hex = |len: usize| text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match pattern {
        "^[0-9a-f]{64}$" => hex(64),
        "^[0-9a-f]{128}$" => hex(128),
        "^[0-9a-f]{32}$" => hex(32),
        "^[A-Za-z0-9+/]{43}=$" => writ_proto::api::digest_from_base64(text).is_some(),
        "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.[0-9a-f]{16}$" => text.parse::<writ_proto::watch::EventId>().is_ok(),
        "^(0|[1-9][0-9]*)\\.[0-9a-f]{16}$" => writ_proto::api::read_position_token(text).is_some(),
        "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" => text.parse::<writ_proto::record::AuthorityName>().is_ok(),
        time if time.starts_with("^[0-9]{4}-") => text.parse::<writ_proto::time::LedgerTime>().is_ok(),
        other => panic!("the checker does not know the pattern `{other}`"),
    }
}

#[test]
fn routes_and_document_name_the_same_paths_methods_and_parameters() {
    let mut documented = BTreeSet::new();
    for (path, item) in members(&DOCUMENT["paths"]) {
        for (method, operation) in members(item) {
            let parameters = operation["parameters"].as_array().into_iter().flatten().map(resolved);
            let queries = parameters.filter(|parameter| parameter["in"] == "query");
            let names: BTreeSet<&str> = queries.map(|parameter| parameter["name"].as_str().unwrap()).collect();
            documented.insert((method.as_str(), path.as_str(), names));
        }
    }
    let method = |filter| if filter == MethodFilter::GET { "get" } else { "post" };
    let routed: BTreeSet<_> = ENDPOINTS
        .iter()
        .map(|endpoint| {
            (method(endpoint.method), endpoint.path, endpoint.parameters.iter().copied().collect::<BTreeSet<_>>())
        })
        .collect();
    assert_eq!(documented, routed);
}

#[test]
fn document_and_program_name_the_same_codes() {
    let documented: BTreeSet<&str> = DOCUMENT["components"]["schemas"]["Code"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap())
        .collect();
    assert_eq!(documented, CODES.iter().map(|(code, _)| *code).collect());
}

#[test]
fn every_path_parameter_stands_in_its_path_and_every_operation_is_told_apart() {
    let mut ids = BTreeSet::new();
    for (path, item) in members(&DOCUMENT["paths"]) {
        for (_, operation) in members(item) {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{path}");
            for parameter in operation["parameters"].as_array().into_iter().flatten().map(resolved) {
                let name = parameter["name"].as_str().unwrap();
                assert_eq!(parameter["in"] == "path", path.contains(&format!("{{{name}}}")), "{path} {name}");
            }
        }
    }
}

#[test]
fn every_example_fits_its_schema_and_every_reference_leads_somewhere() {
    fn walk(value: &'static Value, examples: &mut usize) {
        match value {
            Value::Object(object) => {
                resolved(value);
                let media: &'static Map<String, Value> = object;
                if let (Some(schema), Some(example)) = (media.get("schema"), media.get("example")) {
                    fits(schema, example, "example").unwrap();
                    *examples += 1;
                }
                if let (Some(schema), Some(named)) = (media.get("schema"), media.get("examples")) {
                    for (name, example) in members(named) {
                        fits(schema, &example["value"], name).unwrap();
                        *examples += 1;
                    }
                }
                object.values().for_each(|inner| walk(inner, examples));
            }
            Value::Array(items) => items.iter().for_each(|inner| walk(inner, examples)),
            _ => {}
        }
    }
    let mut examples = 0;
    walk(&DOCUMENT, &mut examples);
    assert!(examples > 30, "{examples} examples were found");
}

#[test]
fn every_answer_that_is_json_has_an_example() {
    for (path, item) in members(&DOCUMENT["paths"]) {
        for (_, operation) in members(item) {
            for (status, response) in members(&operation["responses"]) {
                for (media, content) in members(&resolved(response)["content"]) {
                    let plain = media.ends_with("json") && path != "/openapi.json";
                    assert!(!plain || content.get("example").is_some(), "{path} {status} {media}");
                }
            }
        }
    }
}

#[test]
fn every_named_part_is_used() {
    for kind in ["schemas", "parameters", "responses"] {
        for (name, _) in members(&DOCUMENT["components"][kind]) {
            let to = format!("\"#/components/{kind}/{name}\"");
            assert!(OPENAPI.contains(&to) || name == "MethodNotAllowed", "{to} is never referred to");
        }
    }
}
