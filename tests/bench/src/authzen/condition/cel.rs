//! The same by the `cel` crate: bindings from JSON, compile, execute.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, ensure};
use cel::objects::{Key, Map as CelMap};
use cel::{Context, Program, Value as CelValue};
use serde_json::Value;

use super::{Times, timed};
use crate::run::Run;

pub(super) fn measure(run: &Run, text: &str, told: &Value) -> anyhow::Result<Times> {
    let compile = || Program::compile(black_box(text)).map_err(|error| anyhow!("`{text}`: {error}"));
    let (program, known) = (compile()?, bindings(told)?);
    let truth = program.execute(&known);
    ensure!(matches!(truth, Ok(CelValue::Bool(true))), "`{text}` is {truth:?}, expected true");
    Ok([
        timed(run, || bindings(told)),
        timed(run, compile),
        timed(run, || program.execute(black_box(&known))),
        timed(run, || compile().map(|program| program.execute(black_box(&known)))),
        // Who keeps its program looks nothing up.
        timed(run, || program.execute(black_box(&known))),
        timed(run, || Ok::<_, anyhow::Error>(program.execute(&bindings(told)?))),
    ])
}

fn bindings(told: &Value) -> anyhow::Result<Context<'static, 'static>> {
    let mut bindings = Context::default();
    for (variable, value) in told.as_object().context("an object")? {
        bindings.add_variable_from_value(variable.as_str(), self::value(value)?);
    }
    Ok(bindings)
}

fn value(json: &Value) -> anyhow::Result<CelValue> {
    Ok(match json {
        Value::Null => CelValue::Null,
        Value::Bool(value) => CelValue::Bool(*value),
        Value::Number(number) => CelValue::Int(number.as_i64().context("a whole number")?),
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(values) => CelValue::List(Arc::new(values.iter().map(value).collect::<anyhow::Result<_>>()?)),
        Value::Object(members) => {
            let member = |(name, member): (&String, &Value)| Ok((Key::String(Arc::new(name.clone())), value(member)?));
            CelValue::Map(CelMap {
                map: Arc::new(members.iter().map(member).collect::<anyhow::Result<HashMap<_, _>>>()?),
            })
        }
    })
}
