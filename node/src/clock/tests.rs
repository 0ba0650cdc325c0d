use super::*;
use proptest::prelude::*;
use std::fs;
use std::sync::Arc;
use writ_proto::time::Window;

const CHAIN: Digest = Digest([7; 32]);
const BOUND: u64 = 500;
/// When every script begins.
const START: u64 = 1_800_000_000_000;

/// A machine whose clocks a test moves.
#[derive(Clone)]
struct Machine {
    clocks: Arc<Mutex<Reading>>,
}

impl Machine {
    fn new() -> Self {
        Self { clocks: Arc::new(Mutex::new(Reading { wall_ms: START, boot_ms: 1_000_000 })) }
    }

    /// Time passes.
    fn pass(&self, ms: u64) {
        let mut clocks = self.clocks.lock().unwrap();
        clocks.wall_ms += ms;
        clocks.boot_ms += ms;
    }

    /// Somebody sets the wall clock.
    fn set_by(&self, ms: i64) {
        let mut clocks = self.clocks.lock().unwrap();
        clocks.wall_ms = clocks.wall_ms.saturating_add_signed(ms);
    }

    /// The machine starts again, and its boot-time clock with it.
    fn reboot(&self) {
        self.clocks.lock().unwrap().boot_ms = 0;
    }

    fn wall(&self) -> u64 {
        self.clocks.lock().unwrap().wall_ms
    }

    fn source(&self) -> Source {
        let clocks = self.clocks.clone();
        Source::of(move || *clocks.lock().unwrap())
    }

    fn clock(&self, dir: &Path) -> Clock {
        self.clock_after(dir, None)
    }

    fn clock_after(&self, dir: &Path, last_block: Option<u64>) -> Clock {
        Clock::with_source(dir, &CHAIN, BOUND, last_block.map(to_time), self.source()).unwrap()
    }
}

/// The interval in milliseconds after [`START`].
fn asked(clock: &Clock, last_block: u64) -> Result<(i64, i64), ClockFault> {
    let after = |time: LedgerTime| time.as_millis() as i64 - START as i64;
    clock.interval(to_time(last_block)).map(|interval| (after(interval.lo()), after(interval.hi())))
}

#[test]
fn the_interval_spans_block_clock_and_mark() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let clock = machine.clock(dir.path());
    for (case, pass, set, block, want) in [
        ("block, clock and mark agree", 0, 0, 0, (0, 0)),
        ("the clock runs", 1000, 0, 0, (1000, 1000)),
        ("a block from a clock ahead", 100, 0, 1400, (1400, 1400)),
        ("the clock has not caught up", 100, 0, 1400, (1400, 1400)),
        ("it has", 400, 0, 1400, (1600, 1600)),
        ("set back within the bound", 0, -300, 1400, (1400, 1600)),
        ("the mark stays until the clock is there", 100, 0, 1400, (1400, 1600)),
        ("and goes on", 300, 0, 1400, (1700, 1700)),
        ("set on within the bound", 0, 700, 1400, (2400, 2400)),
    ] {
        machine.pass(pass);
        machine.set_by(set);
        assert_eq!(asked(&clock, START + block), Ok(want), "{case}");
    }
}

#[test]
fn a_clock_that_jumps_by_more_than_the_bound_is_at_fault_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let clock = machine.clock(dir.path());
    asked(&clock, START).unwrap();
    for jump in [501, -501, 3_600_000, -3_600_000] {
        machine.set_by(jump);
        let fault = asked(&clock, START).unwrap_err();
        assert_eq!(fault, ClockFault::Stepped { by_ms: jump, bound_ms: BOUND }, "{jump}");
        assert_eq!(clock.check(to_time(START)).unwrap_err(), fault);
        machine.set_by(-jump);
        assert!(asked(&clock, START).is_ok(), "back after {jump}");
    }
    for jump in [500, -500] {
        machine.set_by(jump);
        assert!(asked(&clock, START).is_ok(), "{jump}");
    }
    // The mark did not follow the jumps.
    assert_eq!(asked(&clock, START).unwrap().1, 500);
}

#[test]
fn a_clock_behind_the_mark_by_more_than_the_bound_is_at_fault_until_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    asked(&machine.clock(dir.path()), START).unwrap();
    machine.pass(10_000);
    let clock = machine.clock(dir.path());
    asked(&clock, START).unwrap();
    clock.settle().unwrap();
    drop(clock);
    // Set back while the node is down, which no step shows.
    machine.set_by(-2_000);
    machine.reboot();
    let clock = machine.clock(dir.path());
    assert_eq!(asked(&clock, START), Err(ClockFault::Behind { by_ms: 2000, bound_ms: BOUND }));
    machine.pass(1_499);
    assert_eq!(asked(&clock, START), Err(ClockFault::Behind { by_ms: 501, bound_ms: BOUND }));
    machine.pass(1);
    assert_eq!(asked(&clock, START), Ok((9_500, 10_000)));
    machine.pass(600);
    assert_eq!(asked(&clock, START), Ok((10_100, 10_100)));
}

#[test]
fn blocks_carry_the_mark_along_even_while_the_clock_is_at_fault() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let clock = machine.clock(dir.path());
    machine.set_by(-5_000);
    assert!(asked(&clock, START + 9_000).is_err());
    machine.set_by(5_000);
    // The block is further ahead than a clock may be behind it.
    assert_eq!(asked(&clock, START), Err(ClockFault::Behind { by_ms: 9_000, bound_ms: BOUND }));
    machine.pass(8_700);
    assert_eq!(asked(&clock, START), Ok((8_700, 9_000)));
}

#[test]
fn a_crash_leaves_a_mark_no_earlier_than_any_answer_and_little_later() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let mut latest = 0;
    for step in [0, 1, 249, 250, 251, 499, 500, 501, 1_000, 10_000, 7, 7, 7] {
        machine.pass(step);
        let clock = machine.clock(dir.path());
        let (lo, hi) = asked(&clock, START).unwrap();
        assert!(hi >= latest, "{hi} after {latest}");
        latest = hi;
        let wall = machine.wall() as i64 - START as i64;
        assert_eq!(lo, wall);
        assert!(hi <= wall + BOUND as i64, "a crash alone runs at most the bound ahead: {hi} at {wall}");
    }
}

#[test]
fn a_clean_stop_leaves_the_exact_mark() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    for _ in 0..3 {
        let clock = machine.clock(dir.path());
        machine.pass(10);
        let wall = machine.wall() as i64 - START as i64;
        assert_eq!(asked(&clock, START), Ok((wall, wall)));
        clock.settle().unwrap();
        // Whoever answers after that is kept too.
        machine.pass(5);
        assert_eq!(asked(&clock, START), Ok((wall + 5, wall + 5)));
        drop(clock);
        let clock = machine.clock(dir.path());
        assert!(asked(&clock, START).unwrap().1 >= wall + 5);
        machine.pass(600);
        asked(&clock, START).unwrap();
        clock.settle().unwrap();
    }
}

#[test]
fn crashes_without_end_do_not_carry_the_mark_away() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    for n in 0..100 {
        machine.pass(1);
        let clock = machine.clock(dir.path());
        clock.keep_ahead().unwrap();
        let (lo, hi) = asked(&clock, START).unwrap();
        assert!(hi - lo <= BOUND as i64, "after {n} crashes: {lo} to {hi}");
        clock.keep_ahead().unwrap();
    }
}

#[test]
fn answers_write_now_and_then_and_an_idle_clock_never() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let clock = machine.clock(dir.path());
    // Ten seconds of a question each millisecond.
    for _ in 0..10_000 {
        machine.pass(1);
        asked(&clock, START).unwrap();
    }
    assert!((38..=42).contains(&clock.syncs()), "{} fsyncs, expected one for each quarter of a second", clock.syncs());
    clock.keep_ahead().unwrap();
    let before = clock.syncs();
    for _ in 0..100 {
        machine.pass(1_000);
        clock.keep_ahead().unwrap();
    }
    assert!(clock.syncs() <= before + 1, "nobody asked");
    // Kept ahead from elsewhere, answers write nothing.
    asked(&clock, START).unwrap();
    for _ in 0..100 {
        clock.keep_ahead().unwrap();
        let before = clock.syncs();
        for _ in 0..6 {
            machine.pass(20);
            asked(&clock, START).unwrap();
        }
        assert_eq!(clock.syncs(), before);
    }
}

#[test]
fn an_answer_that_cannot_be_kept_is_not_given_and_none_after_it() {
    for device in ["/dev/full", "/dev/null"] {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::new();
        let clock = machine.clock(dir.path());
        asked(&clock, START).unwrap();
        let broken = fs::OpenOptions::new().write(true).open(device).unwrap();
        clock.file.as_ref().unwrap().lock().unwrap().write_to(broken);
        // What is stored ahead still covers this.
        machine.pass(200);
        asked(&clock, START).unwrap();
        machine.pass(200);
        assert_eq!(asked(&clock, START), Err(ClockFault::NotKept), "{device}: renewal fails");
        assert_eq!(asked(&clock, START), Err(ClockFault::NotKept), "{device}");
        assert_eq!(clock.settle(), Err(ClockFault::NotKept), "{device}");
    }
}

#[test]
fn a_mark_begins_beside_an_empty_database_and_only_there() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let open = |chain: &Digest, last| Clock::with_source(dir.path(), chain, BOUND, last, machine.source());
    let missing = open(&CHAIN, Some(to_time(START))).unwrap_err();
    assert!(matches!(missing, ClockError::MarkMissing { .. }), "{missing}");
    let clock = open(&CHAIN, None).unwrap();
    let in_use = open(&CHAIN, None).unwrap_err();
    assert!(matches!(in_use, ClockError::File(GuardFileError::InUse { .. })), "{in_use}");
    drop(clock);
    let other = open(&Digest([8; 32]), None).unwrap_err();
    assert!(matches!(other, ClockError::File(GuardFileError::OtherChain { .. })), "{other}");
    assert!(open(&CHAIN, Some(to_time(START))).is_ok());
}

#[test]
fn a_damaged_mark_is_refused_and_one_damaged_byte_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let clock = machine.clock(dir.path());
    machine.pass(60_000);
    asked(&clock, START).unwrap();
    clock.settle().unwrap();
    drop(clock);
    machine.set_by(-60_000);
    let path = mark::path(dir.path());
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(61) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let clock = machine.clock(dir.path());
        assert_eq!(asked(&clock, START), Err(ClockFault::Behind { by_ms: 60_000, bound_ms: BOUND }), "byte {at}");
        drop(clock);
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes[(at + 4096) % 8192] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let refused = Clock::with_source(dir.path(), &CHAIN, BOUND, None, machine.source()).unwrap_err();
        assert!(matches!(refused, ClockError::File(GuardFileError::Damaged { .. })), "byte {at}: {refused}");
    }
    // By an operator's word, the mark begins anew at the last block.
    Clock::restore(dir.path(), &CHAIN, Some(to_time(START + 100))).unwrap();
    assert_eq!(asked(&machine.clock_after(dir.path(), Some(START + 100)), START), Ok((0, 100)));
}

#[test]
fn proposals_are_later_than_the_last_block_and_never_follow_a_jump_ahead() {
    let machine = Machine::new();
    let clock = Clock::in_memory(BOUND, machine.source());
    let proposed = |last: u64| clock.proposal_time(to_time(START + last)).as_millis() - START;
    assert_eq!(proposed(0), 1);
    machine.pass(1_000);
    assert_eq!(proposed(0), 1_000);
    assert_eq!(proposed(1_000), 1_001);
    assert_eq!(proposed(1_300), 1_301);
    machine.set_by(400);
    assert_eq!(proposed(0), 1_400, "within the bound it is followed");
    machine.set_by(3_600_000);
    assert_eq!(proposed(0), 1_500, "beyond it the chain's time is not carried away");
    machine.set_by(-7_200_000);
    assert_eq!(proposed(1_500), 1_501, "back, it goes on a millisecond at a time");
    assert_eq!(clock.now().as_millis(), START + 1_000 + 400 - 3_600_000);
}

#[test]
fn clocks_at_the_ends_of_time_do_not_panic() {
    for (wall_ms, boot_ms) in
        [(0, 0), (0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX), (LedgerTime::MAX.as_millis(), 5)]
    {
        for bound in [1, BOUND, u64::MAX] {
            for last in [LedgerTime::EPOCH, to_time(START), LedgerTime::MAX] {
                let clock = Clock::in_memory(bound, Source::of(move || Reading { wall_ms, boot_ms }));
                let _ = clock.interval(last);
                let _ = (clock.now(), clock.proposal_time(last), clock.keep_ahead(), clock.settle());
            }
        }
    }
    let beyond = Clock::in_memory(BOUND, Source::of(|| Reading { wall_ms: u64::MAX, boot_ms: 0 }));
    assert_eq!(beyond.interval(LedgerTime::EPOCH), Err(ClockFault::BeyondTime));
}

#[test]
fn many_readers_at_once_never_see_the_mark_go_back() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let clock = machine.clock(dir.path());
    // What readers saw, published after they saw it.
    let seen = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (clock, machine, seen) = (&clock, &machine, &seen);
            scope.spawn(move || {
                for round in 0..2_000 {
                    if n == 0 {
                        machine.pass(3);
                        machine.set_by(if round % 2 == 0 { -100 } else { 100 });
                    }
                    if n == 1 && round % 50 == 0 {
                        clock.settle().unwrap();
                    }
                    let before = seen.load(Ordering::SeqCst);
                    let interval = clock.interval(to_time(START)).unwrap();
                    assert!(interval.hi().as_millis() >= before, "{interval:?} after {before}");
                    seen.fetch_max(interval.hi().as_millis(), Ordering::SeqCst);
                }
            });
        }
    });
    drop(clock);
    let stored = mark::open(dir.path(), &CHAIN, false).unwrap().get().until.as_millis();
    assert!(stored >= seen.load(Ordering::SeqCst), "what was answered is not lost");
}

#[test]
fn the_bytes_are_pinned() {
    let mark = mark::ClockMark { until: to_time(START) };
    assert_eq!(hex::encode(writ_proto::codec::encode(&mark)), "00505c18a3010000");
}

/// What may happen to a clock.
#[derive(Clone, Copy, Debug)]
enum Event {
    Pass(u64),
    SetBy(i64),
    Crash,
    CrashAndReboot,
    Stop,
    /// A block this far from the wall clock, or as soon after the last one as can be.
    Block(i64),
    KeepAhead,
    Ask,
}

fn any_event() -> impl Strategy<Value = Event> {
    let near = prop_oneof![-700..700_i64, -20_000..20_000_i64, Just(-7_200_000), Just(7_200_000)];
    prop_oneof![
        4 => prop_oneof![0..20_u64, 0..600_u64, 0..30_000_u64].prop_map(Event::Pass),
        2 => near.clone().prop_map(Event::SetBy),
        1 => Just(Event::Crash),
        1 => Just(Event::CrashAndReboot),
        1 => Just(Event::Stop),
        1 => near.prop_map(Event::Block),
        1 => Just(Event::KeepAhead),
        8 => Just(Event::Ask),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Wherever clocks are set, whatever crashes: `hi` never goes back, so what was once found to have ended never
    /// gives access again; and `lo` is at or after the last block.
    #[test]
    fn no_clock_revives_what_was_found_to_have_ended(
        script in prop::collection::vec(any_event(), 1..80),
        ends in prop::collection::vec(0..60_000_u64, 8),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::new();
        let mut last_block = None;
        let mut clock = machine.clock(dir.path());
        let mut hi_before = LedgerTime::EPOCH;
        let mut ended = vec![false; ends.len()];
        for event in script {
            match event {
                Event::Pass(ms) => machine.pass(ms),
                Event::SetBy(ms) => machine.set_by(ms),
                Event::Crash | Event::CrashAndReboot | Event::Stop => {
                    if matches!(event, Event::Stop) {
                        clock.settle().unwrap();
                    }
                    if matches!(event, Event::CrashAndReboot) {
                        machine.reboot();
                    }
                    drop(clock);
                    clock = machine.clock_after(dir.path(), last_block);
                }
                Event::Block(ms) => {
                    let time = machine.wall().saturating_add_signed(ms);
                    last_block = Some(last_block.map_or(time, |last: u64| time.max(last + 1)));
                }
                Event::KeepAhead => clock.keep_ahead().unwrap(),
                Event::Ask => {
                    let last = to_time(last_block.unwrap_or(START));
                    let Ok(interval) = clock.interval(last) else { continue };
                    prop_assert!(interval.lo() >= last && interval.hi() >= hi_before);
                    hi_before = interval.hi();
                    for (end, ended) in ends.iter().zip(&mut ended) {
                        // A grant from the beginning of time: only its end can keep it from holding.
                        let grant = Window { start: LedgerTime::EPOCH, end: Some(to_time(START + end)) };
                        let holds = grant.holds_throughout(interval);
                        prop_assert!(!(holds && *ended), "{end} gives access again at {interval:?}");
                        *ended |= !holds;
                    }
                }
            }
        }
    }

    /// On a machine whose clock was right when the node started, no setting of the clock lets a grant outlive its
    /// end by more than the bound, nor a denial end before its time by more than the bound.
    #[test]
    fn no_clock_stretches_a_grant_beyond_the_bound(
        script in prop::collection::vec(prop_oneof![
            (0..2_000_u64).prop_map(Event::Pass),
            prop_oneof![-1_500..1_500_i64, -20_000..20_000_i64].prop_map(Event::SetBy),
            Just(Event::Ask),
        ], 1..100),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::new();
        let clock = machine.clock(dir.path());
        let mut truth = START;
        for event in script {
            match event {
                Event::Pass(ms) => {
                    truth += ms;
                    machine.pass(ms);
                }
                Event::SetBy(ms) => machine.set_by(ms),
                _ => {
                    if let Ok(interval) = clock.interval(to_time(START)) {
                        prop_assert!(interval.hi().as_millis() + BOUND >= truth, "{interval:?} at {truth}");
                        prop_assert!(interval.lo().as_millis() <= truth + BOUND, "{interval:?} at {truth}");
                        prop_assert!(interval.hi().as_millis() <= truth + BOUND, "{interval:?} at {truth}");
                    }
                }
            }
        }
    }
}

/// What `count` others say whose clocks are right, on a machine whose own is `off_ms` ahead of them.
fn others(machine: &Machine, off_ms: i64, count: usize) -> Vec<Offset> {
    let Reading { wall_ms, boot_ms } = *machine.clocks.lock().unwrap();
    vec![Offset::new(wall_ms.saturating_add_signed(-off_ms), boot_ms - 2, boot_ms); count]
}

const TWO_HOURS: i64 = 7_200_000;

#[test]
fn a_clock_that_was_wrong_at_the_start_and_is_put_right_is_good_again_once_others_agree() {
    for off in [TWO_HOURS, -TWO_HOURS] {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::new();
        machine.set_by(off);
        let clock = machine.clock(dir.path());
        assert!(!clock.is_compared());
        clock.compare(&others(&machine, off, 1), 2);
        assert!(!clock.is_compared() && clock.check(LedgerTime::EPOCH).is_ok(), "one alone says nothing");
        clock.compare(&others(&machine, off, 2), 2);
        let fault = asked(&clock, 0).unwrap_err();
        assert!(matches!(fault, ClockFault::Disputed { by_ms, .. } if by_ms.signum() == off.signum()), "{fault}");
        assert!(clock.is_compared());
        clock.compare(&[], 2);
        assert!(asked(&clock, 0).is_err(), "it does not trust it more when nobody is there to say so");

        machine.set_by(-off);
        assert!(matches!(asked(&clock, 0), Err(ClockFault::Stepped { .. })));
        clock.compare(&others(&machine, 0, 1), 2);
        assert!(asked(&clock, 0).is_err(), "one alone may lie");
        clock.compare(&others(&machine, 0, 2), 2);
        assert_eq!(asked(&clock, 0), Ok((0, 0)), "and what it would have said meanwhile is in no mark");
        assert_eq!(clock.now().as_millis(), START, "it proposes and judges by the right time too");
        machine.pass(1_000);
        assert_eq!(asked(&clock, 0), Ok((1_000, 1_000)));
    }
}

#[test]
fn a_clock_that_jumps_while_others_keep_theirs_stays_at_fault() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let clock = machine.clock(dir.path());
    clock.compare(&others(&machine, 0, 3), 2);
    asked(&clock, 0).unwrap();
    machine.set_by(TWO_HOURS);
    clock.compare(&others(&machine, TWO_HOURS, 3), 2);
    assert!(matches!(asked(&clock, 0), Err(ClockFault::Stepped { .. })));
    assert_eq!(clock.now().as_millis() - START, BOUND, "it is not followed");
    machine.set_by(-TWO_HOURS);
    assert!(matches!(asked(&clock, 0), Err(ClockFault::Disputed { .. })), "until they have seen it");
    clock.compare(&others(&machine, 0, 3), 2);
    assert_eq!(asked(&clock, 0), Ok((0, 0)));
}

#[test]
fn a_mark_that_a_wrong_clock_carried_away_is_not_forgotten_because_others_agree() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    machine.set_by(TWO_HOURS);
    let clock = machine.clock(dir.path());
    asked(&clock, 0).unwrap();
    machine.set_by(-TWO_HOURS);
    clock.compare(&others(&machine, 0, 3), 2);
    assert!(matches!(asked(&clock, 0), Err(ClockFault::Behind { .. })), "what had ended stays ended");
}

#[test]
fn nobody_makes_the_clock_of_a_node_alone_good() {
    let machine = Machine::new();
    let clock = Clock::in_memory(BOUND, machine.source());
    machine.set_by(TWO_HOURS);
    clock.compare(&[], 0);
    assert!(matches!(asked(&clock, 0), Err(ClockFault::Stepped { .. })));
}
