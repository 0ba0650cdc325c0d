//! The machine and what else it was doing: without it no figure can be judged.
//!
//! Read from `/proc`. Where that is not there, the members say so instead of inventing a value.

use std::fs;

use serde::{Deserialize, Serialize};

/// What does not change during a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// The processor's model.
    pub(crate) model: String,
    /// Memory of the machine in bytes; 0 if not known.
    pub(crate) memory: u64,
    /// The kernel.
    pub(crate) kernel: String,
}

impl Machine {
    /// The machine that this runs on.
    pub(crate) fn here() -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            model: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            memory: kib("/proc/meminfo", "MemTotal"),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| unknown(), |text| format!("Linux {}", text.trim())),
        }
    }
}

/// What else the machine did while a part ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Load {
    /// The load averages of 1, 5 and 15 minutes before.
    pub(crate) before: [f64; 3],
    /// The same afterwards; this run's own threads are in it.
    pub(crate) after: [f64; 3],
    /// The processor time that others used, as a share of all cores' time.
    pub(crate) others: f64,
    /// The processor time that the hypervisor gave to other guests, as a share of all cores' time.
    pub(crate) stolen: f64,
}

/// Watches the machine from its making until [`Watch::end`].
pub(crate) struct Watch {
    loadavg: [f64; 3],
    before: Ticks,
}

impl Watch {
    /// Starts to watch.
    pub(crate) fn start() -> Self {
        Self { loadavg: loadavg(), before: Ticks::now() }
    }

    /// What was seen since. Children that were not waited for count as others.
    pub(crate) fn end(self) -> Load {
        let now = Ticks::now();
        // A tick of the kernel's clock is a hundredth of a second on every Linux that this was tried on.
        let all = (now.all - self.before.all).max(1) as f64;
        let busy = now.busy.saturating_sub(self.before.busy);
        let own = now.own.saturating_sub(self.before.own);
        Load {
            before: self.loadavg,
            after: loadavg(),
            others: busy.saturating_sub(own) as f64 / all,
            stolen: now.stolen.saturating_sub(self.before.stolen) as f64 / all,
        }
    }
}

/// Processor time since the start of the machine, in ticks.
struct Ticks {
    all: u64,
    busy: u64,
    stolen: u64,
    own: u64,
}

impl Ticks {
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let cpu: Vec<u64> = numbers(stat.lines().next().unwrap_or_default());
        let at = |place: usize| cpu.get(place).copied().unwrap_or(0);
        // user nice system idle iowait irq softirq steal
        let busy = at(0) + at(1) + at(2) + at(5) + at(6);
        let own = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name in parentheses may hold spaces; utime, stime, cutime, cstime are members 14 to 17.
        let own: Vec<u64> = numbers(own.rsplit(')').next().unwrap_or_default());
        let own = own.get(10..14).map_or(0, |times| times.iter().sum());
        Self { all: busy + at(3) + at(4) + at(7), busy, stolen: at(7), own }
    }
}

/// The memory of this process that is in RAM, in bytes; 0 if not known.
pub(crate) fn resident_bytes() -> u64 {
    kib("/proc/self/status", "VmRSS")
}

fn loadavg() -> [f64; 3] {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut values = text.split_whitespace().map(|word| word.parse().unwrap_or(f64::NAN));
    std::array::from_fn(|_| values.next().filter(|value| value.is_finite()).unwrap_or(0.0))
}

/// The whole numbers among the words of a line.
fn numbers(line: &str) -> Vec<u64> {
    line.split_whitespace().filter(|word| *word != "cpu").map(|word| word.parse().unwrap_or(0)).collect()
}

/// The value of `key` in a file of lines `key : value`.
fn field(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    })
}

/// The bytes of a member that is written in kB.
fn kib(path: &str, key: &str) -> u64 {
    let value = field(path, key).and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    value.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn own_work_is_not_blamed_on_others() {
        let watch = Watch::start();
        let start = Instant::now();
        let mut sum = 0_u64;
        while start.elapsed().as_millis() < 200 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let Load { others, stolen, .. } = watch.end();
        assert!((0.0..=1.0).contains(&others) && (0.0..=1.0).contains(&stolen), "{others} {stolen}");
    }

    #[test]
    fn the_machine_knows_itself() {
        assert!(Machine::here().cores > 0);
        assert!(resident_bytes() > 100_000);
    }
}
