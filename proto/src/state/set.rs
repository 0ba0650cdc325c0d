//! Atomic sets: every member is judged on top of the earlier ones, and all of them are taken or none.

use alloc::format;

use super::execution::{Execution, Target};
use super::overlay::Overlay;
use crate::genesis::PROTOCOL_OF_SETS;
use crate::record::{AtomicSet, Made, RecordId, Revoke, SetMember};
use crate::refusal::{Code, Refusal};

impl Execution<'_> {
    /// Judges a set that `authority` signed, whose id is `id`, and adds what all its members bring.
    pub(super) fn judge_set(
        &self,
        authority: u32,
        id: RecordId,
        set: &AtomicSet,
        brings: &mut Overlay,
    ) -> Result<(), Refusal> {
        let protocol = self.base.protocol_at(self.height);
        if protocol < PROTOCOL_OF_SETS {
            let detail = format!(
                "records of kind `set` need protocol {PROTOCOL_OF_SETS}, block {} is under protocol {protocol}",
                self.height
            );
            return Err(Refusal::of(Code::Unsupported, "record", detail));
        }
        let size = self.base.log.size();
        if let Some(since) = set.unchanged_since
            && since > size
        {
            // No fault of whoever passes it on: their log may be longer than this one.
            let detail = format!("no log of size {since} is here: it has {size} leaves");
            return Err(Refusal::of(Code::NotFound, "unchanged_since", detail));
        }
        for (place, member) in (0..).zip(&set.members) {
            self.judge_member(authority, id, (place, member), set.unchanged_since, brings)
                .map_err(|refusal| refusal.in_member(place))?;
        }
        Ok(())
    }

    fn judge_member(
        &self,
        authority: u32,
        set: RecordId,
        (place, member): (u8, &SetMember),
        since: Option<u64>,
        brings: &mut Overlay,
    ) -> Result<(), Refusal> {
        match member {
            SetMember::Access(access) => {
                self.check_unchanged(access.sub.as_str(), access.obj.as_str(), since)?;
                let made = Made { id: set.of_member(place), member: Some(place), access };
                self.judge_access(authority, made, brings)
            }
            SetMember::Revoke(revoke) => {
                let target = self.present(revoke)?;
                self.check_unchanged(target.sub, target.obj, since)?;
                self.judge_end(authority, revoke, &target, brings)
            }
        }
    }

    /// In a set no revocation waits for its target: it would be taken and do nothing yet, which is not all.
    fn present(&self, revoke: &Revoke) -> Result<Target<'_>, Refusal> {
        self.target(&revoke.target)?.ok_or_else(|| {
            let detail = format!("no entry {} is in the log; in a set, none is waited for", revoke.target);
            Refusal::of(Code::NotFound, "target", detail)
        })
    }

    /// Whether nothing on exactly this subject and object was stated or ended since the log had the size `since`.
    fn check_unchanged(&self, sub: &str, obj: &str, since: Option<u64>) -> Result<(), Refusal> {
        let Some(since) = since else { return Ok(()) };
        let changed = self.block.changed(sub, obj).or_else(|| self.base.index.changed(sub, obj));
        match changed.filter(|index| *index >= since) {
            None => Ok(()),
            Some(index) => {
                let detail = format!(
                    "`{sub}` on `{obj}` was changed at index {index}, expected no change since the log had size {since}"
                );
                Err(Refusal::whole(Code::Conflict, detail))
            }
        }
    }
}
