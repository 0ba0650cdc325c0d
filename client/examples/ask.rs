//! Asks whether a subject may do something, and exits as `writ check` does.
//!
//! ```text
//! cargo run --example ask -- http://127.0.0.1:7001 alice read file:plan.txt
//! ```

use std::error::Error;
use std::process::ExitCode;

use writ_client::client::{Client, Question};
use writ_proto::record::Effect;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [node, sub, act, obj] = arguments.as_slice() else { return Err("expected NODE SUBJECT ACTION OBJECT".into()) };
    let question =
        Question { sub: sub.clone(), act: Some(act.clone()), obj: obj.clone(), explain: true, ..Question::default() };
    let answer = Client::new([node])?.check(&question)?;
    println!("{} ({}) at height {}", answer.decision.as_str(), answer.why, answer.height);
    // Until then nothing but a new entry can change the answer.
    if let Some(valid_until) = answer.valid_until {
        println!("not to be kept beyond {valid_until}");
    }
    Ok(if answer.decision == Effect::Grant { ExitCode::SUCCESS } else { ExitCode::from(3) })
}
