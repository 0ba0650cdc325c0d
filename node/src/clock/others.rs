//! The local clock beside those of other validators.
//!
//! A clock that was wrong when the node started agrees with itself, so it takes others to notice; and one that was put
//! right under a running node looks as if it had jumped. Others tell their clock when they are greeted. Between
//! the greeting and the answer lies the moment at which they read it, so each gives an interval:
//!
//! ```text
//!   theirs less our boot-time clock:   [ theirs - boot at the answer, theirs - boot at the greeting ]
//! ```
//!
//! What more than a third say, at least one honest validator says. So it takes that many to [dispute](Verdict::Disputed)
//! the local clock, and as many to [agree](Verdict::Agrees) with it; who answered too slowly to tell does neither.
//! Of both, agreement wins: an honest clock says so.

/// What one other validator's clock was, less this machine's boot-time clock: at least and at most, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Offset {
    /// Of a clock that read `theirs` between the boot times `asked` and `answered`.
    pub fn new(theirs: u64, asked: u64, answered: u64) -> Self {
        let less = |boot| super::signed(theirs).saturating_sub(super::signed(boot));
        Self { least: less(answered), most: less(asked) }
    }
}

/// What the others say of the local clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Too few say anything.
    Unheard,
    /// It is within the bound of an honest one.
    Agrees,
    /// It is so far ahead (negative: behind) of an honest one, at least.
    Disputed { by_ms: i64 },
}

/// What `others` say of a clock that is `own` ahead of the boot-time clock, if at least `enough` have to say it; one in
/// any case: nobody makes no clock good.
pub(super) fn judge(own: i64, others: &[Offset], bound_ms: u64, enough: usize) -> Verdict {
    let (bound, enough) = (super::signed(bound_ms), enough.max(1));
    let ahead = |other: &Offset| (own.saturating_sub(other.most), own.saturating_sub(other.least));
    let agrees = |other: &&Offset| {
        let (least, most) = ahead(other);
        least >= -bound && most <= bound
    };
    if others.iter().filter(agrees).count() >= enough {
        return Verdict::Agrees;
    }
    let mut disputed: Vec<i64> = others
        .iter()
        .map(ahead)
        .filter_map(|(least, most)| if least > bound { Some(least) } else { (most < -bound).then_some(most) })
        .collect();
    if disputed.len() < enough {
        return Verdict::Unheard;
    }
    // By at least so much with one of any `enough`: liars cannot make it more.
    disputed.sort_unstable_by_key(|by| by.unsigned_abs());
    Verdict::Disputed { by_ms: disputed[0] }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock so far ahead of the boot-time clock, asked over a way of so many milliseconds.
    fn told(ahead: i64, way: u64) -> Offset {
        let boot = 10_000;
        Offset::new(u64::try_from(ahead).unwrap() + boot + way / 2, boot, boot + way)
    }

    #[test]
    fn an_offset_holds_the_truth_however_long_the_way_was() {
        assert_eq!(told(5_000, 0), Offset { least: 5_000, most: 5_000 });
        assert_eq!(told(5_000, 300), Offset { least: 4_850, most: 5_150 });
    }

    #[test]
    fn more_than_a_third_decide() {
        const HOURS: i64 = 7_200_000;
        let right = 1_000_000_000;
        let (own, wrong) = (told(right, 4), told(right + HOURS, 4));
        let slow = told(right, 5_000);
        use Verdict::{Agrees, Disputed, Unheard};
        for (case, clock, others, verdict) in [
            ("nobody", right, vec![], Unheard),
            ("one, who may lie", right, vec![own], Unheard),
            ("two", right, vec![own, own], Agrees),
            ("two and a liar", right, vec![own, wrong, own], Agrees),
            ("one and a liar", right, vec![own, wrong], Unheard),
            ("two behind", right - HOURS, vec![own, own], Disputed { by_ms: -HOURS + 2 }),
            ("two ahead", right + HOURS, vec![own, own], Disputed { by_ms: HOURS - 2 }),
            ("two ahead, with a liar for company", right + HOURS, vec![own, wrong, own], Disputed { by_ms: HOURS - 2 }),
            ("a little off", right + 400, vec![own, own, own], Agrees),
            ("neither nor", right + 501, vec![own, own, own], Unheard),
            ("a little too far off", right + 503, vec![own, own, own], Disputed { by_ms: 501 }),
            ("too slow to tell", right, vec![slow, slow, slow], Unheard),
            ("far off all the same", right + HOURS, vec![slow, slow, own], Disputed { by_ms: HOURS - 2_500 }),
        ] {
            assert_eq!(judge(clock, &others, 500, 2), verdict, "{case}");
        }
    }

    #[test]
    fn numbers_without_sense_do_no_harm() {
        let wild = [Offset::new(u64::MAX, 0, u64::MAX), Offset::new(0, u64::MAX, 0), Offset::new(u64::MAX, 0, 0)];
        for own in [i64::MIN, 0, i64::MAX] {
            for bound in [0, 1, u64::MAX] {
                judge(own, &wild, bound, 2);
            }
        }
    }
}
