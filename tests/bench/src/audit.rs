//! `writ audit --file`: every signature, every decision of the chain about its records, every root, derived again.

use anyhow::ensure;
use writ_tests::world::text;

use crate::dataset::Dataset;
use crate::figure::{Cell, Figure, Section, Table, Unit};
use crate::format::count;
use crate::processes::Chain;
use crate::run::{Part, Run};
use crate::traffic::rows;
use crate::verify;

/// The part.
pub(crate) const PART: Part = Part { name: "audit", about: "the audit of an export, beside signature checks", measure };

fn measure(run: &Run, section: &mut Section) -> anyhow::Result<()> {
    let entries = if run.short { 500 } else { run.sizes(&[100_000]).first().copied().unwrap_or(100_000) };
    let dataset = Dataset::new(entries, run.seed);
    let chain = Chain::start(&run.scratch)?;
    chain.import("rows.csv", rows(&dataset, 0..dataset.entries(), ""))?;
    let verify = verify::measure(run, section);
    let (export, genesis) = (text(&chain.file("export.writ")), text(&chain.home().join("genesis.json")));
    let records = dataset.entries() as f64;
    let (mut exports, mut audits) = (Vec::new(), Vec::new());
    for _ in 0..run.repetitions {
        // An export never overwrites one.
        let _ = std::fs::remove_file(&export);
        let (took, _) = chain.writ(&["export", "--out", &export]);
        exports.push(records / took.as_secs_f64());
        let (took, said) = chain.writ(&["audit", "--file", &export, "--genesis", &genesis, "--json"]);
        audits.push(records / took.as_secs_f64());
        ensure!(said.code == Some(0), "the audit found something: {}", said.out);
    }
    let mut table = Table::new(
        format!("A chain of {} entries, each with one signature.", count(dataset.entries())),
        &["what", "records", "beside signature checks"],
    );
    let own = [("audit", "`writ audit --file`", audits), ("export", "`writ export`, every block verified", exports)];
    for (name, what, values) in own {
        let figure = Figure::new(format!("audit/{name}"), what, Unit::PerSecond, values).against(verify.clone());
        let id = section.figure(figure);
        table.row(vec![what.into(), Cell::Value(id.clone()), Cell::Ratio(id)]);
    }
    table.row(vec!["strict signature checks on all cores".into(), Cell::Value(verify), "".into()]);
    section.tables.push(table);
    section.note("The node, idle but for the exports, is among the other processes that are named below.");
    Ok(())
}
