//! What became of records and cosignatures that a peer told, and what that says of the peer.

use writ_proto::refusal::Code;

use crate::checkpoints::Verdict;
use crate::ledger::{SubmitError, Submitted};

/// What a message of a peer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// It brought something new that is good: it is passed on.
    New,
    /// It did not, for no fault that the sender must have known of.
    Nothing,
    /// The sender must have known that it is bad.
    Bad,
}

/// Whether a record with this fault is bad for everybody, whatever they know. A key or authority that is not known may
/// be known elsewhere already, and a state that does not allow the record may be older or newer than the sender's.
pub(super) fn is_bad_everywhere(code: Code) -> bool {
    matches!(code, Code::BadRequest | Code::WrongChain | Code::BadSignature | Code::TooLarge)
}

/// What a batch is worth by what became of its records. One record that is bad everywhere makes the batch bad: whoever
/// sent it had to look at each of them.
pub(super) fn worth(results: &[Result<Submitted, SubmitError>]) -> Worth {
    let bad = |result: &Result<Submitted, SubmitError>| match result {
        Err(SubmitError::Refused(refusal)) => is_bad_everywhere(refusal.code),
        _ => false,
    };
    if results.iter().any(bad) {
        Worth::Bad
    } else if results.iter().any(|result| matches!(result, Ok(Submitted::New(_)))) {
        Worth::New
    } else {
        Worth::Nothing
    }
}

/// What cosignatures are worth, by the same rule.
pub(super) fn worth_of(verdicts: impl Iterator<Item = Verdict>) -> Worth {
    let worth = |verdict| match verdict {
        Verdict::Accept => Worth::New,
        Verdict::Ignore(_) => Worth::Nothing,
        Verdict::Reject(_) => Worth::Bad,
    };
    verdicts.map(worth).fold(Worth::Nothing, |all, one| match (all, one) {
        (Worth::Bad, _) | (_, Worth::Bad) => Worth::Bad,
        (Worth::New, _) | (_, Worth::New) => Worth::New,
        (Worth::Nothing, Worth::Nothing) => Worth::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_proto::hash::Digest;
    use writ_proto::record::RecordId;
    use writ_proto::refusal::Refusal;

    #[test]
    fn a_batch_is_new_if_anything_in_it_is_and_bad_only_for_what_its_sender_knew() {
        let id = RecordId(Digest([1; 32]));
        let refused = |code| Err(SubmitError::Refused(Refusal::whole(code, "no")));
        let (new, known) = (|| Ok(Submitted::New(id)), || Ok(Submitted::Settled(id)));
        let full = || Err(SubmitError::Overloaded { retry_after_s: 1 });
        for (case, results, want) in [
            ("new", vec![new()], Worth::New),
            ("known", vec![known(), Ok(Submitted::Pending(id))], Worth::Nothing),
            ("one of them new", vec![known(), new(), full()], Worth::New),
            ("no room", vec![full(), Err(SubmitError::ReadOnly)], Worth::Nothing),
            ("a forged signature", vec![new(), refused(Code::BadSignature)], Worth::Bad),
            ("another chain's", vec![refused(Code::WrongChain)], Worth::Bad),
            ("no record at all", vec![refused(Code::BadRequest)], Worth::Bad),
            ("a key that is not known here yet", vec![refused(Code::UnknownKey)], Worth::Nothing),
            ("an authority that is not known here yet", vec![refused(Code::UnknownAuthority)], Worth::Nothing),
            ("too late", vec![refused(Code::ExpiredSubmission)], Worth::Nothing),
            ("a scope that has changed", vec![refused(Code::OutOfScope)], Worth::Nothing),
            ("a kind of a newer version", vec![refused(Code::Unsupported)], Worth::Nothing),
        ] {
            assert_eq!(worth(&results), want, "{case}");
        }
    }
}
