//! The table of cases: every line of the decision's meaning, as a log, questions and their answers.
//!
//! How a case is written is told in [`crate::story`]. Each answer is asked of the real evaluator and of
//! the naive one; both must give exactly what is written, reasons included.

use writ_proto::decision::{Moment, Question};
use writ_proto::limits::{NAME_ID_BYTES_MAX, NAME_SEGMENTS_MAX};
use writ_proto::record::{Body, Effect};
use writ_proto::time::Interval;

use crate::chain::{Chain, access, sign, time};
use crate::ledgers::name;
use crate::story::tell;

#[test]
fn a_grant_gives_what_it_says_and_nothing_else() {
    tell(&[
        (
            "an empty log grants nothing and has no reasons",
            "
            ? user:a read file:x @5 -> no_match until never
            10
            ? user:a read file:x @15 -> no_match until never
            ",
        ),
        (
            "a grant is for its subject, its action and its object",
            "
            10 org1 + user:a read file:x #g
            ? user:a read file:x @15   -> grant g until never
            ? user:b read file:x @15   -> no_match
            ? thing:a read file:x @15  -> no_match
            ? user:a write file:x @15  -> no_match
            ? user:a rea file:x @15    -> no_match
            ? user:a read file:y @15   -> no_match
            ? user:a read file:x/y @15 -> no_match
            ? user:a read file:X @15   -> no_match
            ? file:x read user:a @15   -> no_match
            ",
        ),
        (
            "two overlapping grants: ending one does not end access",
            "
            10 org1 + user:a read file:x #one
            11 org1 + user:a read file:x #other
            20 org1 ends one
            30 org1 ends other
            ? user:a read file:x @15 h2 -> grant one other
            ? user:a read file:x @19 -> grant one other
            ? user:a read file:x @20 -> grant other
            ? user:a read file:x @29 -> grant other
            ? user:a read file:x @30 -> no_match
            ",
        ),
        (
            "two overlapping windows: the end of one does not end access",
            "
            10 org1 + user:a read file:x 10..20 #one
            10 org2 + user:a read file:x 15..30 #other
            ? user:a read file:x @14 -> grant one until 15
            ? user:a read file:x @17 -> grant one other until 20
            ? user:a read file:x @20 -> grant other until 30
            ? user:a read file:x @30 -> no_match until never
            ",
        ),
        (
            "any root's grant will do, if its scope allows it",
            "
            10 org2 + user:a read file:x #g
            10 org3 + user:a read file:x !out_of_scope
            10 org3 - user:a read file:x !out_of_scope
            ? user:a read file:x @15 -> grant g
            ",
        ),
    ]);
}

#[test]
fn a_denial_in_force_beats_any_number_of_grants() {
    tell(&[
        (
            "earlier or later, of whichever root",
            "
            10 org1 - user:a read file:x #early
            20 org1 + user:a read file:x #g1
            20 org2 + user:a read file:x #g2
            20 org1 + user:a * * #g3
            30 org2 - user:a read file:x #late
            ? user:a read file:x @25 h2 -> deny early
            ? user:a read file:x @29    -> deny early
            ? user:a read file:x @30    -> deny early late
            ? user:a write file:x @30   -> grant g3
            ",
        ),
        (
            "only while it is in force",
            "
            10 org1 + user:a read file:x #g
            10 org1 - user:a read file:x 20..30 #d
            ? user:a read file:x @19 -> grant g until 20
            ? user:a read file:x @20 -> deny d until 30
            ? user:a read file:x @29 -> deny d until 30
            ? user:a read file:x @30 -> grant g until never
            ",
        ),
        (
            "until it is lifted",
            "
            10 org1 + user:a read file:x #g
            20 org1 - user:a read file:x #d
            30 org1 lifts d
            ? user:a read file:x @20 -> deny d
            ? user:a read file:x @29 -> deny d
            ? user:a read file:x @30 -> grant g
            ? user:a read file:x @30 h2 -> deny d
            ",
        ),
        (
            "a denial with a pattern or with every action, too",
            "
            10 org1 + user:org/b read file:acl/x #g
            10 org1 - user:org/* write file:acl/x #d1
            10 org1 - * write * #d2
            10 org1 - user:c * file:acl/* #d3
            ? user:org/b read file:acl/x @10 -> grant g
            ? user:org/b write file:acl/x @10 -> deny d1 d2
            ? user:c read file:acl/x @10 -> deny d3
            ? user:c write file:acl/x @10 -> deny d2 d3
            ? user:c read file:acl @10 -> no_match
            ",
        ),
    ]);
}

#[test]
fn a_start_is_included_and_an_end_is_not_to_the_millisecond() {
    tell(&[
        (
            "both bounds of a grant",
            "
            10 org1 + user:a read file:x 15..30 #g
            ? user:a read file:x @10 -> no_match until 15
            ? user:a read file:x @14 -> no_match until 15
            ? user:a read file:x @15 -> grant g until 30
            ? user:a read file:x @29 -> grant g until 30
            ? user:a read file:x @30 -> no_match until never
            ",
        ),
        (
            "a window of one millisecond",
            "
            10 org1 + user:a read file:x 15..16 #g
            ? user:a read file:x @14 -> no_match
            ? user:a read file:x @15 -> grant g until 16
            ? user:a read file:x @16 -> no_match
            ",
        ),
        (
            "nothing counts before its `added`, however early its `iss`",
            "
            10 org1 + user:a read file:x 3..30 #g
            10 org1 - user:b read file:x 3..30 #d
            ? user:a read file:x @9 -> no_match until 10
            ? user:a read file:x @10 -> grant g
            ? user:b read file:x @9 -> no_match until 10
            ? user:b read file:x @10 -> deny d
            ",
        ),
        (
            "without `iss` it holds from its block on, without `exp` for ever",
            "
            10 org1 + user:a read file:x ..20 #closed
            10 org1 + user:a read file:y 5.. #open
            ? user:a read file:x @9 -> no_match until 10
            ? user:a read file:x @10 -> grant closed until 20
            ? user:a read file:y @10 -> grant open until never
            ? user:a read file:y @5000000000 -> grant open until never
            ",
        ),
        (
            "an entry that has ended when it comes never holds, and no time waits for it",
            "
            10 org1 + user:a read file:x 3..10
            10 org1 - user:a write file:x 3..10
            10 org1 + user:a write file:x ..9
            10 org1 - user:a write file:x ..5
            ? user:a read file:x @5 -> no_match until never
            ? user:a read file:x @9 -> no_match until never
            ? user:a read file:x @10 -> no_match until never
            ? user:a write file:x @0..=20 -> no_match until never
            ",
        ),
        (
            "a revocation ends at its block's time",
            "
            10 org1 + user:a read file:x #g
            20 org1 ends g
            ? user:a read file:x @19 -> grant g
            ? user:a read file:x @20 -> no_match
            ",
        ),
        (
            "the earlier of end and revocation counts",
            "
            10 org1 + user:a read file:x ..15 #short
            10 org1 + user:a read file:y ..40 #long
            20 org1 ends short
            20 org1 ends long
            ? user:a read file:x @14 -> grant short
            ? user:a read file:x @15 -> no_match
            ? user:a read file:x @19 -> no_match
            ? user:a read file:y @19 -> grant long
            ? user:a read file:y @20 -> no_match
            ",
        ),
        (
            "revoked before it starts, it never holds",
            "
            10 org1 + user:a read file:x 30..40 #g
            20 org1 ends g
            ? user:a read file:x @35 -> no_match until never
            ? user:a read file:x @35 h1 -> grant g until 40
            ",
        ),
    ]);
}

#[test]
fn a_pattern_covers_what_lies_below_it_and_nothing_beside_it() {
    tell(&[
        (
            "objects: `file:acl/*`",
            "
            10 org1 + user:a read file:acl/* #g
            ? user:a read file:acl/x @10 -> grant g
            ? user:a read file:acl/x/y @10 -> grant g
            ? user:a read file:acl/x/y/z @10 -> grant g
            ? user:a read file:acl/ @10 -> grant g
            ? user:a read file:acl// @10 -> grant g
            ? user:a read file:acl @10 -> no_match
            ? user:a read file:acl2 @10 -> no_match
            ? user:a read file:acl2/x @10 -> no_match
            ? user:a read file:ac @10 -> no_match
            ? user:a read file:x/acl/y @10 -> no_match
            ? user:a read thing:acl/x @10 -> no_match
            ",
        ),
        (
            "objects: deeper prefixes",
            "
            10 org1 + user:a read file:acl/x/* #g
            ? user:a read file:acl/x/y @10 -> grant g
            ? user:a read file:acl/x/y/z @10 -> grant g
            ? user:a read file:acl/x @10 -> no_match
            ? user:a read file:acl/xx @10 -> no_match
            ? user:a read file:acl/y @10 -> no_match
            ? user:a read file:acl @10 -> no_match
            ",
        ),
        (
            "objects: a type, everything",
            "
            10 org1 + user:a read file:* #typed
            10 org1 + user:a read * #all
            ? user:a read file:x @10 -> grant typed all
            ? user:a read file:acl/x @10 -> grant typed all
            ? user:a read file2:x @10 -> grant all
            ? user:a read fil:x @10 -> grant all
            ? user:a read role:r @10 -> grant all
            ",
        ),
        (
            "subjects",
            "
            10 org1 + user:org/* read file:x #below
            10 org1 + user:* read file:x #typed
            10 org1 + * read file:x #all
            ? user:org/b read file:x @10 -> grant below typed all
            ? user:org/b/c read file:x @10 -> grant below typed all
            ? user:org read file:x @10 -> grant typed all
            ? user:org2/b read file:x @10 -> grant typed all
            ? thing:org/b read file:x @10 -> grant all
            ? role:org/b read file:x @10 -> grant all
            ",
        ),
        (
            "an exact name is no pattern",
            "
            10 org1 + user:org read file:acl #g
            ? user:org read file:acl @10 -> grant g
            ? user:org/b read file:acl @10 -> no_match
            ? user:org read file:acl/x @10 -> no_match
            ",
        ),
        (
            "a pattern as subject also covers roles that were reached",
            "
            10 org1 + user:a member role:r1/x #m
            10 org1 + role:r1/* read file:x #g
            10 org1 - role:r1/* write file:x #d
            10 org1 + user:a write file:x
            ? user:a read file:x @10 -> grant g m
            ? user:a write file:x @10 -> deny d
            ? user:b read file:x @10 -> no_match
            ",
        ),
        (
            "a pattern that covers the subject needs no way through a role",
            "
            10 org1 + user:a member role:r #m
            10 org1 + * read file:x #g
            ? user:a read file:x @10 -> grant g
            ",
        ),
    ]);
}

#[test]
fn an_action_is_one_or_every() {
    tell(&[
        (
            "`*` grants every named action",
            "
            10 org1 + user:a * file:x #g
            ? user:a read file:x @10 -> grant g
            ? user:a write file:x @10 -> grant g
            ? user:a never.named file:x @10 -> grant g
            ? user:a - file:x @10 -> grant g
            ",
        ),
        (
            "a question for every action: only `*` gives it, the denial of any action takes it",
            "
            10 org1 + user:a read file:x #r
            10 org1 + user:a write file:x
            20 org1 + user:a * file:x #all
            30 org1 - user:a write file:x #d
            ? user:a - file:x @10 -> no_match
            ? user:a - file:x @20 -> grant all
            ? user:a - file:x @30 -> deny d
            ? user:a - file:x @20..=29 -> grant all
            ? user:a - file:x @20..=30 -> deny d
            ? user:a read file:x @20..=30 -> grant r all
            ",
        ),
        (
            "a question for every action of a role: `member` and `*` do not add up",
            "
            10 org1 + user:a member role:r #m
            20 org1 + user:a * role:r #all
            30 org1 - user:a member role:r #d
            ? user:a - role:r @10 -> no_match
            ? user:a - role:r @20 -> grant all
            ? user:a - role:r @30 -> deny d
            ",
        ),
        (
            "a denial of every action takes each",
            "
            10 org1 + user:a read file:x
            10 org1 - user:a * file:x #d
            ? user:a read file:x @10 -> deny d
            ? user:a - file:x @10 -> deny d
            ",
        ),
    ]);
}

#[test]
fn a_role_carries_its_grants_and_denials_to_its_members() {
    tell(&[
        (
            "with the memberships on the way as reasons",
            "
            10 org1 + user:a member role:r #m1
            10 org2 + role:r member role:s #m2
            10 org1 + role:s member role:t #m3
            10 org1 + role:t read file:x #g
            10 org1 + user:a member role:unused
            ? user:a read file:x @10 -> grant m1 m2 m3 g
            ? role:r read file:x @10 -> grant m2 m3 g
            ? role:t read file:x @10 -> grant g
            ? role:unused read file:x @10 -> no_match
            ? user:b read file:x @10 -> no_match
            ",
        ),
        (
            "on one shortest way to each grant",
            "
            10 org1 + user:a member role:r #m1
            10 org1 + role:r member role:s #m2
            10 org1 + role:s member role:t #m3
            20 org1 + user:a member role:t #direct
            20 org1 + role:t read file:x #g
            20 org1 + role:s read file:x #h
            ? user:a read file:x @20 -> grant m1 m2 direct g h
            ",
        ),
        (
            "a denial is carried just so, and has no memberships among its reasons",
            "
            10 org1 + user:a member role:r
            10 org1 + role:r member role:s
            10 org1 - role:s read file:x #d
            10 org1 + user:a read file:x
            ? user:a read file:x @10 -> deny d
            ",
        ),
        (
            "membership is not passed to the other side",
            "
            10 org1 + role:r member role:s
            10 org1 + role:r read file:x #g
            ? role:s read file:x @10 -> no_match
            ? role:r read file:x @10 -> grant g
            ",
        ),
        (
            "cycles end and answer",
            "
            10 org1 + user:a member role:r #m
            10 org1 + role:r member role:s #n
            10 org1 + role:s member role:t #o
            10 org1 + role:t member role:r #p
            10 org1 + role:r member role:r #q
            10 org1 + role:t read file:x #g
            ? user:a read file:x @10 -> grant m n o g
            ? role:r read file:x @10 -> grant n o g
            ? role:s read file:x @10 -> grant o g
            ? role:t read file:x @10 -> grant g
            ? user:a read file:y @10 -> no_match
            ? role:r member role:r @10 -> grant n o p q
            ",
        ),
        (
            "memberships begin, end and are ended like any entry",
            "
            10 org1 + user:a member role:r 20..30 #m
            10 org1 + role:r read file:x #g
            25 org1 + user:b member role:r #n
            28 org1 ends n
            ? user:a read file:x @19 -> no_match until 20
            ? user:a read file:x @20 -> grant m g until 30
            ? user:a read file:x @30 -> no_match until never
            ? user:b read file:x @27 -> grant n g
            ? user:b read file:x @28 -> no_match
            ? user:b read file:x @28 h2 -> grant n g
            ",
        ),
        (
            "a pattern makes members of all it covers, roles too",
            "
            10 org1 + user:org/* member role:staff #m
            10 org1 + role:staff/* member role:staff #n
            10 org1 + role:staff read file:x #g
            10 org1 + user:c member role:staff/lead #o
            ? user:org/b read file:x @10 -> grant m g
            ? user:org/b/c read file:x @10 -> grant m g
            ? user:org read file:x @10 -> no_match
            ? user:c read file:x @10 -> grant n o g
            ? role:staff/lead read file:x @10 -> grant n g
            ",
        ),
        (
            "a role that everybody is a member of, itself included",
            "
            10 org1 + * member role:all #m
            10 org1 + role:all read file:x #g
            ? user:a read file:x @10 -> grant m g
            ? role:all read file:x @10 -> grant g
            ? role:all member role:all @10 -> grant m
            ",
        ),
    ]);
}

#[test]
fn only_member_on_an_exact_role_confers_membership() {
    tell(&[
        (
            "every action on a role does not",
            "
            10 org1 + user:a * role:r #all
            10 org1 + user:a * role:* #below
            10 org1 + user:a * * #whole
            10 org1 + role:r read thing:x
            10 org1 + role:r * thing:x
            10 org1 - role:r write file:x
            ? user:a member role:r @10 -> no_match
            ? user:a read role:r @10 -> grant all below whole
            ? user:a - role:r @10 -> grant all below whole
            ? user:a write file:x @10 -> grant whole
            ? user:b read thing:x @10 -> no_match
            ",
        ),
        (
            "`member` on a pattern or on anything else is refused",
            "
            10 org1 + user:a member role:* !bad_request
            10 org1 + user:a member role:r/* !bad_request
            10 org1 + user:a member * !bad_request
            10 org1 + user:a member file:x !bad_request
            10 org1 - user:a member file:x !bad_request
            10 org1 - user:a member file:* !bad_request
            10 org1 - user:a member role:* #d
            10 org1 - user:b member * #e
            ? user:a member role:r @10 -> deny d
            ? user:b member role:r @10 -> deny e
            ",
        ),
        (
            "`read` on a role does not",
            "
            10 org1 + user:a read role:r #g
            10 org1 + role:r read file:x
            ? user:a read file:x @10 -> no_match
            ? user:a member role:r @10 -> no_match
            ? user:a read role:r @10 -> grant g
            ",
        ),
        (
            "a question for `member` counts memberships, direct or through roles",
            "
            10 org1 + user:a member role:r #m
            10 org1 + role:r member role:s #n
            10 org1 + user:org/* member role:s #p
            ? user:a member role:r @10 -> grant m
            ? user:a member role:s @10 -> grant m n
            ? user:org/b member role:s @10 -> grant p
            ? user:b member role:s @10 -> no_match
            ? role:r member role:s @10 -> grant n
            ? role:s member role:r @10 -> no_match
            ? role:r member role:r @10 -> no_match
            ? user:a member role:s/x @10 -> no_match
            ",
        ),
        (
            "and is denied by `member`, `*` and patterns, not by another action",
            "
            10 org1 + user:a member role:r #m
            10 org1 - user:a read role:r
            20 org1 - user:a * role:* ..30 #d
            40 org1 - user:a member role:r ..50 #e
            ? user:a member role:r @10 -> grant m
            ? user:a member role:r @20 -> deny d
            ? user:a member role:r @30 -> grant m
            ? user:a member role:r @40 -> deny e
            ? user:a member role:r @50 -> grant m
            ",
        ),
    ]);
}

#[test]
fn a_denied_membership_carries_no_grants_and_still_carries_denials() {
    tell(&[
        (
            "direct",
            "
            10 org1 + user:a member role:r #m
            10 org1 + role:r read file:x #g
            10 org1 - role:r write file:x #w
            10 org1 + user:a write file:x
            20 org2 - user:a member role:r ..30 #d
            ? user:a read file:x @19 -> grant m g
            ? user:a read file:x @20 -> no_match until 30
            ? user:a write file:x @20 -> deny w
            ? user:a member role:r @20 -> deny d
            ? user:a read file:x @30 -> grant m g
            ",
        ),
        (
            "only the expiry or the revocation of the membership ends the role's denials",
            "
            10 org1 + user:a member role:r #m
            10 org1 - role:r write file:x #w
            10 org1 + user:a write file:x #g
            20 org1 - user:a member role:r #d
            30 org1 ends m
            ? user:a write file:x @29 -> deny w
            ? user:a write file:x @30 -> grant g
            ",
        ),
        (
            "the role is denied on every way to it, whoever in the way is named",
            "
            10 org1 + user:a member role:r
            10 org1 + user:a member role:s
            10 org1 + role:s member role:r
            10 org1 + role:r read file:x
            10 org1 + role:s write file:x #g
            10 org1 + user:a member role:s #m
            10 org1 - role:s member role:r #d
            20 org1 lifts d
            20 org1 - user:a member role:r
            ? user:a read file:x @10 h1 -> no_match
            ? user:a read file:x @20 -> no_match
            ? role:s read file:x @10 h1 -> no_match
            ",
        ),
        (
            "what lies behind the denied role is not reached through it, but may be otherwise",
            "
            10 org1 + user:a member role:r
            10 org1 + role:r member role:s
            10 org1 + role:s read file:x #g
            10 org1 - role:s write file:x #w
            10 org1 - user:a member role:r
            20 org1 + user:a member role:s #m
            ? user:a read file:x @10 h1 -> no_match
            ? user:a write file:x @10 h1 -> deny w
            ? user:a read file:x @20 -> grant m g
            ",
        ),
        (
            "a pattern or `*` denies membership as well; another action does not",
            "
            10 org1 + user:a member role:r/x #m
            10 org1 + user:b member role:r/x #n
            10 org1 + user:c member role:r/x #o
            10 org1 + role:r/x read file:x #g
            10 org1 - user:a * role:r/*
            10 org1 - user:b member *
            10 org1 - user:c read role:r/x
            10 org1 - user:c * file:y
            10 org1 - user:c member role:r
            ? user:a read file:x @10 -> no_match
            ? user:b read file:x @10 -> no_match
            ? user:c read file:x @10 -> grant o g
            ",
        ),
        (
            "a pattern as subject denies membership to all it covers, and by way of a role in between",
            "
            10 org1 + user:org/b member role:r
            10 org1 + role:r read file:x
            10 org1 - user:org/* member role:r
            10 org1 + user:c member role:s/1 #m
            10 org1 + role:s/1 member role:t #n
            10 org1 + role:t read file:x #g
            10 org1 + role:s/1 read file:x #h
            20 org1 - role:s/* member role:t
            ? user:org/b read file:x @10 -> no_match
            ? user:c read file:x @19 -> grant m n g h
            ? user:c read file:x @20 -> grant m h
            ",
        ),
        (
            "a denial of somebody else's membership does not matter",
            "
            10 org1 + user:a member role:r #m
            10 org1 + role:r read file:x #g
            10 org1 - user:b member role:r
            10 org1 - role:s member role:r
            ? user:a read file:x @10 -> grant m g
            ",
        ),
        (
            "however many other roles are denied to the same subject",
            "
            10 org1 + user:a member role:r/x #m
            10 org1 + role:r/x read file:x #g
            10 org1 + user:b member role:r/x #n
            10 org1 - user:a member role:1 ..90
            10 org1 - user:a member role:2 ..90
            10 org1 - user:a member role:3 ..90
            10 org1 - user:a * role:4 ..90
            10 org1 - user:a * role:r/x/* ..90
            10 org1 - user:a read role:r/x ..90
            10 org1 - user:a read role:r/* ..90
            20 org1 - user:a member role:r/x 20..30
            20 org1 - user:a member role:r/* 40..50
            20 org1 - user:a * role:* 60..70
            20 org1 - user:a member * 80..85 if ?
            ? user:a read file:x @19 -> grant m g
            ? user:a read file:x @20 -> no_match until 30
            ? user:a read file:x @30 -> grant m g until 40
            ? user:a read file:x @40 -> no_match until 50
            ? user:a read file:x @50 -> grant m g until 60
            ? user:a read file:x @60 -> no_match until 70
            ? user:a read file:x @70 -> grant m g until 80
            ? user:a read file:x @80 -> indeterminate g until 85
            ? user:a read file:x @85 -> grant m g until never
            ? user:b read file:x @20 -> grant n g until never
            ",
        ),
        (
            "a denied role that asks for itself keeps its own grants: it was not entered",
            "
            10 org1 + role:r read file:x #g
            10 org1 - role:r member role:r
            10 org1 - * member role:*
            10 org1 + role:r member role:s
            10 org1 + role:s write file:x
            ? role:r read file:x @10 -> grant g
            ? role:r write file:x @10 -> no_match
            ",
        ),
        (
            "membership denials play no part in what is reached: two denials do not cancel",
            "
            10 org1 + user:a member role:r
            10 org1 + role:r member role:s
            10 org1 + user:a member role:s
            10 org1 + role:s read file:x
            10 org1 - user:a member role:r
            10 org1 - role:r member role:s
            ? user:a read file:x @10 -> no_match
            ",
        ),
    ]);
}

#[test]
fn over_an_interval_a_grant_must_hold_throughout_and_a_denial_anywhere() {
    tell(&[
        (
            "a grant at both ends",
            "
            10 org1 + user:a read file:x 20..30 #g
            ? user:a read file:x @20..=29 -> grant g until 30
            ? user:a read file:x @19..=29 -> no_match until 20
            ? user:a read file:x @20..=30 -> no_match until 30
            ? user:a read file:x @15..=35 -> no_match until 20
            ? user:a read file:x @29..=29 -> grant g
            ",
        ),
        (
            "two grants that meet do not make one",
            "
            10 org1 + user:a read file:x 20..25
            10 org1 + user:a read file:x 25..30
            ? user:a read file:x @22..=27 -> no_match until 25
            ",
        ),
        (
            "a denial anywhere",
            "
            10 org1 + user:a read file:x #g
            10 org1 - user:a read file:x 20..30 #d
            ? user:a read file:x @12..=19 -> grant g until 20
            ? user:a read file:x @12..=20 -> deny d until 20
            ? user:a read file:x @29..=40 -> deny d until 30
            ? user:a read file:x @30..=40 -> grant g until never
            ? user:a read file:x @12..=40 -> deny d until 20
            ? user:a read file:x @22..=27 -> deny d until 30
            ",
        ),
        (
            "a denial that never holds holds nowhere, even inside the interval",
            "
            20 org1 + user:a read file:x #g
            20 org1 - user:a read file:x ..20
            20 org1 - user:a read file:x 5..15
            20 org1 - user:a read file:x #d
            20 org1 lifts d
            ? user:a read file:x @20..=40 -> grant g until never
            ? user:a read file:x @0..=40 -> no_match until 20
            ",
        ),
        (
            "a membership in part of the interval carries denials, not grants",
            "
            10 org1 + user:a member role:r 20..30 #m
            10 org1 + role:r read file:x #g
            10 org1 - role:r write file:x #d
            10 org1 + user:a write file:x #h
            ? user:a read file:x @20..=29 -> grant m g
            ? user:a read file:x @19..=20 -> no_match
            ? user:a read file:x @29..=30 -> no_match
            ? user:a write file:x @15..=19 -> grant h until 20
            ? user:a write file:x @19..=20 -> deny d until 20
            ? user:a write file:x @29..=35 -> deny d until 30
            ? user:a write file:x @30..=35 -> grant h until never
            ",
        ),
        (
            "a membership denial in part of the interval denies the role",
            "
            10 org1 + user:a member role:r #m
            10 org1 + role:r read file:x #g
            10 org1 - user:a member role:r 20..30
            ? user:a read file:x @12..=19 -> grant m g until 20
            ? user:a read file:x @12..=20 -> no_match until 20
            ? user:a read file:x @29..=40 -> no_match until 30
            ? user:a read file:x @30..=40 -> grant m g until never
            ",
        ),
        (
            "a membership denial over a membership that holds in part denies the role",
            "
            10 org1 + user:a member role:r #m
            10 org1 + role:r read file:x #g
            10 org1 + user:a member role:s 20..30
            10 org1 - role:s member role:r
            ? user:a read file:x @12..=19 -> grant m g
            ? user:a read file:x @12..=20 -> no_match
            ? user:a read file:x @29..=40 -> no_match
            ? user:a read file:x @30..=40 -> grant m g
            ",
        ),
    ]);
}

#[test]
fn the_height_moves_the_knowledge_and_the_instant_moves_the_instant() {
    tell(&[
        (
            "height, at, as-of",
            "
            10 org1 + user:a read file:x #g
            20 org1 ends g
            30 org1 + user:a read file:x 10.. #again
            ? user:a read file:x @15 -> grant g
            ? user:a read file:x @25 -> no_match until 30
            ? user:a read file:x @30 -> grant again
            ? user:a read file:x @25 h1 -> grant g
            ? user:a read file:x @25 h2 -> no_match until never
            ? user:a read file:x @30 h2 -> no_match
            ? user:a read file:x @25 h0 -> no_match
            ? user:a read file:x @19 h3 -> grant g
            ? user:a read file:x @30 h99 -> grant again
            ? user:a read file:x as-of 0 -> no_match
            ? user:a read file:x as-of 9 -> no_match
            ? user:a read file:x as-of 10 -> grant g
            ? user:a read file:x as-of 19 -> grant g
            ? user:a read file:x as-of 20 -> no_match until never
            ? user:a read file:x as-of 29 -> no_match until never
            ? user:a read file:x as-of 30 -> grant again
            ? user:a read file:x as-of 99 -> grant again
            ",
        ),
        (
            "a denial that was not known does not count",
            "
            10 org1 + user:a read file:x #g
            20 org1 - user:a read file:x 5.. #d
            30 org1 lifts d
            ? user:a read file:x @25 h1 -> grant g until never
            ? user:a read file:x @25 h2 -> deny d
            ? user:a read file:x @35 h2 -> deny d
            ? user:a read file:x @35 h3 -> grant g
            ",
        ),
        (
            "memberships and their denials likewise",
            "
            10 org1 + role:r read file:x #g
            20 org1 + user:a member role:r #m
            30 org1 - user:a member role:r #d
            40 org1 lifts d
            50 org1 ends m
            ? user:a read file:x @60 h1 -> no_match
            ? user:a read file:x @60 h2 -> grant m g
            ? user:a read file:x @60 h3 -> no_match
            ? user:a read file:x @60 h4 -> grant m g
            ? user:a read file:x @60 h5 -> no_match
            ? user:a read file:x @45 -> grant m g
            ? user:a read file:x @35 -> no_match
            ",
        ),
        (
            "an end that is not known is not waited for, and one that is known is no longer",
            "
            10 org1 + user:a read file:x ..90 #g
            20 org1 + user:a read file:x 40..50 #h
            30 org1 ends g
            ? user:a read file:x @12 h1 -> grant g until 90
            ? user:a read file:x @25 h2 -> grant g until 40
            ? user:a read file:x @29 h3 -> grant g until 40
            ? user:a read file:x @35 h3 -> no_match until 40
            ",
        ),
    ]);
}

#[test]
fn a_revocation_ends_what_its_signer_may_end() {
    tell(&[
        (
            "a stranger may not",
            "
            10 org1 + user:a read file:x #g
            10 org1 - user:a write file:x #d
            20 org2 ends g !forbidden
            20 org2 lifts d !forbidden
            ? user:a read file:x @20 -> grant g
            ? user:a write file:x @20 -> deny d
            ",
        ),
        (
            "the effect must be the target's",
            "
            10 org1 + user:a read file:x #g
            10 org1 - user:a write file:x #d
            20 org1 lifts g !conflict
            20 org1 ends d !conflict
            ? user:a read file:x @20 -> grant g
            ? user:a write file:x @20 -> deny d
            ",
        ),
        (
            "before its target: the target never holds",
            "
            10 org1 ends g
            20 org1 + user:a read file:x ..90 #g
            20 org1 + user:a write file:x ..90 #h
            ? user:a read file:x @20 -> no_match until 90
            ? user:b read file:x @20 -> no_match until never
            ? user:a read file:x @25 h2 -> no_match
            ? user:a write file:x @20 -> grant h
            ",
        ),
        (
            "before a membership, and before a scheduled grant",
            "
            10 org1 ends m
            10 org1 ends g
            20 org1 + user:a member role:r #m
            20 org1 + user:a read file:x 30..40 #g
            20 org1 + role:r read file:x
            ? user:a read file:x @20 -> no_match until never
            ? user:a read file:x @35 -> no_match until never
            ",
        ),
        (
            "in one block, in either order",
            "
            10 org1 ends g
            10 org1 + user:a read file:x #g
            10 org1 + user:a write file:x #h
            10 org1 ends h
            10 org1 - user:b read file:x #d
            10 org1 lifts d
            ? user:a read file:x @10 -> no_match until never
            ? user:a write file:x @10 -> no_match until never
            ? user:a write file:x @9..=99 -> no_match until never
            ? user:b read file:x @9..=99 -> no_match until never
            ",
        ),
        (
            "one that waits and is a stranger's, or of the wrong effect, does nothing",
            "
            10 org2 ends g
            10 org1 ends d
            20 org1 + user:a read file:x #g
            20 org1 - user:a write file:x #d
            ? user:a read file:x @20 -> grant g
            ? user:a write file:x @20 -> deny d
            ",
        ),
        (
            "a right one counts beside a stranger's, whichever waited first",
            "
            10 org2 ends g
            11 org1 ends g
            12 org3 ends g
            20 org1 + user:a read file:x #g
            ? user:a read file:x @20 -> no_match
            30 org2 ends h
            40 org1 + user:a write file:x #h
            50 org1 ends h
            ? user:a write file:x @49 -> grant h
            ? user:a write file:x @50 -> no_match
            ",
        ),
        (
            "the lift of a denial does not wait",
            "
            10 org1 lifts d !not_found
            20 org1 - user:a read file:x #d
            ? user:a read file:x @20 -> deny d
            ",
        ),
        (
            "of two revocations the first counts",
            "
            10 org1 + user:a read file:x #g
            20 org1 ends g
            30 org1 ends g
            ? user:a read file:x @19 -> grant g
            ? user:a read file:x @20 -> no_match
            ? user:a read file:x @25 -> no_match
            ? user:a read file:x @25 h1 -> grant g
            ? user:a read file:x @25 h2 -> no_match
            40 org1 - user:b read file:x #d
            50 org1 lifts d
            60 org1 lifts d
            ? user:b read file:x @45 -> deny d
            ? user:b read file:x @50 -> no_match
            ? user:b read file:x @70 h4 -> deny d
            ",
        ),
        (
            "one that waited and a second one later: it still never held",
            "
            10 org1 ends g
            20 org1 + user:a read file:x #g
            30 org1 ends g
            ? user:a read file:x @20 -> no_match
            ? user:a read file:x @25 h2 -> no_match
            ",
        ),
        (
            "of two equal grants it ends one",
            "
            10 org1 + user:a read file:x #g
            10 org1 + user:a read file:x #h
            10 org2 + user:a read file:x #i
            20 org1 ends h
            ? user:a read file:x @20 -> grant g i
            ",
        ),
    ]);
}

#[test]
fn what_cannot_be_evaluated_takes_access_away_and_never_gives_it() {
    tell(&[
        (
            "grants: true counts, false is not there, the rest is indeterminate",
            "
            10 org1 + user:a read file:x if true #t
            10 org1 + user:a read file:x if ? #u
            10 org1 + user:b read file:x if false
            10 org1 + user:c read file:x if ? #v
            10 org1 + user:c * file:x if false
            10 org1 + user:c * * if ? #w
            10 org1 + user:c write file:x
            ? user:a read file:x @10 -> grant t
            ? user:b read file:x @10 -> no_match
            ? user:c read file:x @10 -> indeterminate v w
            ",
        ),
        (
            "denials: true counts, false is not there, the rest is indeterminate but denies",
            "
            10 org1 + * * file:* #g
            10 org1 - user:a read file:x if true #t
            10 org1 - user:b read file:x if false
            10 org1 - user:c read file:x if ? #u
            10 org1 - user:d read file:x if ? #v
            10 org1 - user:d * file:* #w
            ? user:a read file:x @10 -> deny t
            ? user:b read file:x @10 -> grant g
            ? user:c read file:x @10 -> indeterminate u
            ? user:d read file:x @10 -> deny v w
            ? user:c - file:x @10 -> indeterminate u
            ",
        ),
        (
            "a denial that is reached only over an indeterminate membership is indeterminate",
            "
            10 org1 + user:a member role:r if ?
            10 org1 - role:r read file:x #d
            10 org1 + user:a read file:x
            20 org1 - user:a read file:x ..30 #own
            40 org1 + user:a member role:r
            ? user:a read file:x @10 h1 -> indeterminate d
            ? user:a read file:x @20 h2 -> deny d own
            ? user:a read file:x @30 h2 -> indeterminate d
            ? user:a read file:x @40 -> deny d
            ? role:r read file:x @10 -> deny d
            ",
        ),
        (
            "also further down the way, and not if there is a sure way",
            "
            10 org1 + user:a member role:r
            10 org1 + role:r member role:s if ?
            10 org1 + role:s member role:t
            10 org1 - role:t read file:x #d
            20 org1 + role:r member role:u
            20 org1 + role:u member role:v
            20 org1 + role:v member role:t
            ? user:a read file:x @10 h1 -> indeterminate d
            ? user:a read file:x @20 -> deny d
            ? role:s read file:x @10 h1 -> deny d
            ",
        ),
        (
            "a denial on a pattern applies definitely if it covers a name that is surely reached",
            "
            10 org1 + user:a member role:r/1 if ?
            10 org1 - role:r/* read file:x #d
            20 org1 + user:a member role:r/2
            ? user:a read file:x @10 h1 -> indeterminate d
            ? user:a read file:x @20 -> deny d
            ",
        ),
        (
            "a membership that cannot be evaluated carries denials and no grants",
            "
            10 org1 + user:a member role:r if ? #m
            10 org1 + role:r read file:x #g
            10 org1 + user:b member role:r if false
            10 org1 - role:r write file:x
            10 org1 + user:b write file:x #h
            10 org1 + user:c member role:r if true #n
            ? user:a read file:x @10 -> indeterminate g
            ? user:a member role:r @10 -> indeterminate m
            ? user:b read file:x @10 -> no_match
            ? user:b write file:x @10 -> grant h
            ? user:c read file:x @10 -> grant n g
            ",
        ),
        (
            "a membership denial that cannot be evaluated denies the role, and that is indeterminate",
            "
            10 org1 + user:a member role:r #m
            10 org1 + role:r read file:x #g
            10 org1 - user:a member role:r if ? #d
            20 org1 - user:a member role:r ..30 if true #e
            40 org1 - user:a * role:r if false
            ? user:a read file:x @10 h1 -> indeterminate g
            ? user:a member role:r @10 h1 -> indeterminate d
            ? user:a read file:x @20 h2 -> no_match
            ? user:a member role:r @20 h2 -> deny d e
            ? user:a read file:x @30 -> indeterminate g
            ? user:a read file:x @40 -> indeterminate g
            ",
        ),
        (
            "a false membership denial denies nothing",
            "
            10 org1 + user:a member role:r #m
            10 org1 + role:r read file:x #g
            10 org1 - user:a member role:r if false
            ? user:a read file:x @10 -> grant m g
            ",
        ),
        (
            "a membership denial whose subject is only perhaps reached denies only perhaps",
            "
            10 org1 + user:a member role:r #m
            10 org1 + role:r read file:x #g
            10 org1 + user:a member role:s if ?
            10 org1 - role:s member role:r
            20 org1 + user:a member role:s
            ? user:a read file:x @10 h1 -> indeterminate g
            ? user:a read file:x @20 -> no_match
            ",
        ),
        (
            "the indeterminate reasons are the grants alone, also those that do not need to be evaluated",
            "
            10 org1 + user:a member role:r if ?
            10 org1 + role:r member role:s
            10 org1 + role:s read file:x #g
            10 org1 + role:r read file:x if true #h
            10 org1 + role:r read file:x if false
            10 org1 + user:a read file:x if ? #i
            10 org1 + user:a read file:x 20.. if ?
            ? user:a read file:x @15 -> indeterminate g h i
            ? user:a read file:x @15..=20 -> indeterminate g h i
            ",
        ),
        (
            "what is indeterminate must hold throughout, too",
            "
            10 org1 + user:a read file:x 20..30 if ? #g
            10 org1 + user:b member role:r 20..30 if ?
            10 org1 + role:r read file:x #h
            ? user:a read file:x @20..=29 -> indeterminate g
            ? user:a read file:x @19..=29 -> no_match
            ? user:a read file:x @20..=30 -> no_match
            ? user:b read file:x @20..=29 -> indeterminate h
            ? user:b read file:x @20..=30 -> no_match
            ? user:b read file:x @19..=20 -> no_match
            ",
        ),
        (
            "a question for every action that only a conditional grant answers",
            "
            10 org1 + user:a * file:x if ? #g
            10 org1 + user:a read file:x if ?
            10 org1 + user:b member role:r if ? #m
            10 org1 + user:b * role:r if ?
            ? user:a - file:x @10 -> indeterminate g
            ? user:b member role:r @10 -> indeterminate m
            ",
        ),
    ]);
}

#[test]
fn an_answer_stands_until_something_looked_at_starts_or_ends() {
    tell(&[
        (
            "whatever its action and effect, on the question's keys alone",
            "
            10 org1 + user:a read file:x ..90 #g
            10 org1 + user:a write file:x ..80
            10 org1 - user:a delete file:x 70..85
            10 org1 - user:* write file:* ..60
            10 org1 + user:b read file:x ..20
            10 org1 + user:a read file:y ..20
            10 org1 - user:a * file:x/* ..20
            10 org1 + role:r read file:x ..20
            ? user:a read file:x @15 -> grant g until 60
            ? user:a read file:x @60 -> grant g until 70
            ? user:a read file:x @70 -> grant g until 80
            ? user:a read file:x @80 -> grant g until 85
            ? user:a read file:x @85 -> grant g until 90
            ? user:a read file:x @90 -> no_match until never
            ",
        ),
        (
            "later than `lo`: what begins or ends there is behind",
            "
            10 org1 + user:a read file:x 20..30 #g
            ? user:a read file:x @19 -> no_match until 20
            ? user:a read file:x @20 -> grant g until 30
            ? user:a read file:x @30 -> no_match until never
            ? user:a read file:x @19..=25 -> no_match until 20
            ? user:a read file:x @20..=35 -> no_match until 30
            ",
        ),
        (
            "memberships of everything reached, and the keys of every role reached",
            "
            10 org1 + user:a member role:r ..80 #m
            10 org1 + role:r member role:s 60..
            10 org1 + role:r read file:x #g
            10 org1 + role:s read file:x ..15
            10 org1 + user:b member role:r ..12
            ? user:a read file:x @11 -> grant m g until 60
            ? user:a read file:x @61 -> grant m g until 80
            ? user:a read file:x @80 -> no_match until never
            ",
        ),
        (
            "of a role not reached yet only the membership, not what it would bring",
            "
            10 org1 + user:a member role:r 50..
            10 org1 + role:r read file:x 30..40
            10 org1 + role:r member role:s 20..25
            ? user:a read file:x @15 -> no_match until 50
            ? user:a read file:x @15..=50 -> no_match until 20
            ",
        ),
        (
            "membership denials of roles reached, not of others",
            "
            10 org1 + user:a member role:r #m
            10 org1 + role:r read file:x #g
            10 org1 - user:a member role:r 70..80
            10 org1 - role:r * role:* 60..65
            10 org1 - user:a member role:s 20..30
            10 org1 - user:b member role:r 20..30
            10 org1 - user:a read role:r 20..30
            ? user:a read file:x @15 -> grant m g until 60
            ? user:a read file:x @66 -> grant m g until 70
            ? user:a read file:x @70 -> no_match until 80
            ? user:a read role:r @15 -> no_match until 20
            ",
        ),
        (
            "a role that is the subject is a role reached",
            "
            10 org1 + role:r read file:x #g
            10 org1 - role:r member role:r 50..60
            ? role:r read file:x @15 -> grant g until 50
            ",
        ),
        (
            "also one that stands on no entry",
            "
            10 org1 + * read file:x #g
            10 org1 - * member role:* 50..60
            10 org1 - role:r/* * role:r/x/* 30..40
            10 org1 - * member role:s 20..25
            10 org1 - * read role:* 20..25
            ? role:r/x/y read file:x @15 -> grant g until 30
            ? role:r/x read file:x @15 -> grant g until 50
            ? role:s read file:x @15 -> grant g until 20
            ? user:a read file:x @15 -> grant g until never
            ",
        ),
        (
            "what is revoked, never held or is not known is not looked at",
            "
            10 org1 + user:a read file:x #g
            10 org1 + user:a read file:x ..30 #h
            10 org1 + user:a read file:x 3..9
            10 org1 + user:a member role:r ..25 #m
            20 org1 ends h
            20 org1 ends m
            40 org1 + user:a read file:x ..60
            ? user:a read file:x @15 h1 -> grant g h until 25
            ? user:a read file:x @25 h1 -> grant g h until 30
            ? user:a read file:x @20 h2 -> grant g until never
            ",
        ),
        (
            "whatever its condition",
            "
            10 org1 + user:a read file:x #g
            10 org1 + user:a read file:x ..50 if false
            10 org1 - user:a read file:x 40..45 if false
            10 org1 + user:a member role:r ..35 if false
            10 org1 - user:a member role:r ..30 if ?
            10 org1 + user:a write file:x ..55 if ?
            ? user:a read file:x @15 -> grant g until 35
            ? user:a read file:x @35 -> grant g until 40
            ? user:a read file:x @40 -> grant g until 45
            ? user:a read file:x @45 -> grant g until 50
            ? user:a read file:x @50 -> grant g until 55
            ",
        ),
        (
            "a role over a false membership is not reached: its keys are not looked at",
            "
            10 org1 + user:a member role:r if false
            10 org1 + role:r read file:x ..50 #g
            10 org1 + user:b member role:r if ?
            ? user:a read file:x @15 -> no_match until never
            ? user:b read file:x @15 -> indeterminate g until 50
            ",
        ),
        (
            "grants of a denied role count: the denial may be lifted, or end",
            "
            10 org1 + user:a member role:r
            10 org1 - user:a member role:r
            10 org1 + role:r read file:x 50..60
            ? user:a read file:x @15 -> no_match until 50
            ? user:a read file:x @50 -> no_match until 60
            ",
        ),
    ]);
}

#[test]
fn the_longest_names_are_covered_by_each_of_their_prefixes() {
    let deep = |kind: &str| format!("{kind}:{}", vec!["s"; NAME_SEGMENTS_MAX].join("/"));
    let long = |kind: &str| format!("{kind}:{}/x", "l".repeat(NAME_ID_BYTES_MAX - 2));
    let full = |kind: &str| format!("{kind}:{}/", "l".repeat(NAME_ID_BYTES_MAX - 1));
    for (case, text, prefixes) in [
        ("as many segments as there may be", deep as fn(&str) -> String, NAME_SEGMENTS_MAX - 1),
        ("as many bytes as there may be, with room for a prefix", long, 1),
        // The pattern would be a byte longer than a name may be.
        ("as many bytes as there may be, the last a `/`", full, 0),
    ] {
        let (sub, obj) = (text("user"), text("file"));
        let mut chain = Chain::new();
        let mut records = Vec::new();
        for (number, start) in covering(&obj).into_iter().enumerate() {
            records.push(sign("org1", number as u64, Body::Access(access(Effect::Grant, &sub, "read", &start))));
        }
        for (number, start) in covering(&sub).into_iter().enumerate() {
            records.push(sign("org2", number as u64, Body::Access(access(Effect::Grant, &start, "read", &obj))));
        }
        assert_eq!(chain.append(1, &records), vec![], "{case}");
        // The name itself, its prefixes, its type, everything; for both sides.
        assert_eq!(records.len(), 2 * (prefixes + 3), "{case}");
        let act = Some("read".parse().expect("an action"));
        let question = Question { sub: name(&sub), act, obj: name(&obj) };
        let moment = Moment { interval: Interval::at(time(1)), height: 1 };
        let decision = chain.both(&question, &moment).unwrap_or_else(|difference| panic!("{case}\n{}", difference.0));
        assert_eq!(decision.entries.len(), records.len(), "{case}");
    }
}

/// The name and every pattern that covers it and is no longer than a name may be.
fn covering(name: &str) -> Vec<String> {
    let kind = name.find(':').map_or(0, |colon| colon + 1);
    let ends = name.bytes().enumerate().filter(|(at, byte)| *byte == b'/' && at + 2 - kind <= NAME_ID_BYTES_MAX);
    let below = ends.map(|(at, _)| format!("{}*", &name[..=at]));
    [name.to_owned(), format!("{}*", &name[..kind]), "*".to_owned()].into_iter().chain(below).collect()
}
