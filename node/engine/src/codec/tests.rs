//! Every message survives the way through its bytes; no other bytes are a message.

use std::fmt::Debug;

use malachitebft_core_types::VoteType;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn key_id() -> impl Strategy<Value = KeyId> {
    any::<[u8; 32]>().prop_map(KeyId)
}

fn signature() -> impl Strategy<Value = Signature> {
    (any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(a, b)| Signature([a, b].concat().try_into().unwrap()))
}

fn peer() -> impl Strategy<Value = PeerId> {
    any::<[u8; 32]>().prop_map(|seed| {
        let keys = malachitebft_app_channel::app::types::Keypair::ed25519_from_bytes(seed).unwrap();
        PeerId::from_bytes(&keys.public().to_peer_id().to_bytes()).unwrap()
    })
}

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=max).prop_map(Bytes::from)
}

prop_compose! {
    fn vote()(precommit: bool, height: u64, round: u32, value in option::of(digest()), voter in key_id(), signature in signature()) -> SignedVote<Ctx> {
        let kind = if precommit { VoteKind::Precommit } else { VoteKind::Prevote };
        SignedMessage::new(Vote::from(certificate::Vote { kind, height, round, value, voter }), Sig(signature))
    }
}

prop_compose! {
    fn proposal()(height: u64, round: u32, value in digest(), valid_round: Option<u32>, proposer in key_id(), signature in signature()) -> SignedProposal<Ctx> {
        SignedMessage::new(Proposal::from(certificate::Proposal { height, round, value, valid_round, proposer }), Sig(signature))
    }
}

fn signed() -> impl Strategy<Value = SignedConsensusMsg<Ctx>> {
    prop_oneof![vote().prop_map(SignedConsensusMsg::Vote), proposal().prop_map(SignedConsensusMsg::Proposal)]
}

prop_compose! {
    fn polka()(height: u64, round: u32, value in digest(), signatures in vec((key_id(), signature()), 0..8)) -> PolkaCertificate<Ctx> {
        PolkaCertificate::from_mirror(PolkaMirror { height, round, value, signatures }).unwrap()
    }
}

prop_compose! {
    fn round()(height: u64, round: u32, skip: bool, votes in vec(vote(), 0..8)) -> RoundCertificate<Ctx> {
        let cert_type = if skip { RoundCertificateType::Skip } else { RoundCertificateType::Precommit };
        let signature = |v: SignedVote<Ctx>| RoundSignature::new(v.message.kind, v.message.value, v.message.voter, v.signature);
        RoundCertificate { height: Height(height), round: Round::new(round), cert_type, round_signatures: votes.into_iter().map(signature).collect() }
    }
}

fn liveness() -> impl Strategy<Value = LivenessMsg<Ctx>> {
    prop_oneof![
        vote().prop_map(LivenessMsg::Vote),
        polka().prop_map(LivenessMsg::PolkaCertificate),
        round().prop_map(LivenessMsg::SkipRoundCertificate)
    ]
}

prop_compose! {
    fn value()(p in proposal(), valid: bool) -> ProposedValue<Ctx> {
        let Proposal { height, round, value, valid_round, proposer } = p.message;
        ProposedValue { height, round, valid_round, proposer, value, validity: Validity::from_bool(valid) }
    }
}

prop_compose! {
    fn announcement()(height: u64, round: u32, valid_round: Option<u32>, proposer in key_id(), value in digest(), size: u32) -> Announcement {
        Announcement { height, round, valid_round, proposer, value, size }
    }
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![announcement().prop_map(Part::Announcement), bytes(300).prop_map(Part::Data)]
}

prop_compose! {
    fn piece()(id in bytes(STREAM_ID_BYTES_MAX), sequence: u64, part in option::of(part())) -> StreamMessage<Part> {
        StreamMessage::new(StreamId::new(id), sequence, part.map_or(StreamContent::Fin, StreamContent::Data))
    }
}

prop_compose! {
    fn proof()(key: [u8; 32], peer in bytes(64), signature in signature()) -> ValidatorProof<Ctx> {
        ValidatorProof::new(key.to_vec(), peer.to_vec(), Sig(signature))
    }
}

prop_compose! {
    fn status()(peer_id in peer(), tip: u64, oldest: u64) -> Status<Ctx> {
        Status { peer_id, tip_height: Height(tip), history_min_height: Height(oldest) }
    }
}

prop_compose! {
    fn request()(first: u64, last: u64) -> Request<Ctx> {
        Request::ValueRequest(ValueRequest::new(Height(first)..=Height(last)))
    }
}

prop_compose! {
    fn certificate()(height: u64, round: u32, block in digest(), signatures in vec((key_id(), signature()), 0..5)) -> Certificate {
        let signatures = std::collections::BTreeMap::from_iter(signatures).into_iter().collect();
        Certificate { height, round, block, signatures }
    }
}

prop_compose! {
    fn response()(first: u64, values in vec((bytes(300), certificate()), 0..4)) -> Response<Ctx> {
        Response::from_mirror((first, values)).unwrap()
    }
}

/// The law of every message: it comes back from its bytes; cut short, prolonged or damaged they are an error
/// or another message, whose bytes are exactly those; and nothing panics.
fn holds<T: PartialEq + Debug>(message: &T, cut: usize, flip: usize) -> Result<(), TestCaseError>
where
    Wire: Codec<T, Error = WireError>,
{
    let bytes = Wire.encode(message).unwrap();
    prop_assert_eq!(&Wire.decode(bytes.clone()).unwrap(), message);
    prop_assert!(Codec::<T>::decode(&Wire, bytes.slice(..cut % bytes.len())).is_err(), "cut short");
    let longer = Bytes::from([&bytes[..], &[0]].concat());
    prop_assert!(Codec::<T>::decode(&Wire, longer).is_err(), "prolonged");
    let mut damaged = bytes.to_vec();
    damaged[flip / 8 % bytes.len()] ^= 1 << (flip % 8);
    let damaged = Bytes::from(damaged);
    if let Ok(other) = Codec::<T>::decode(&Wire, damaged.clone()) {
        prop_assert_ne!(&other, message);
        prop_assert_eq!(Wire.encode(&other).unwrap(), damaged);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn signed_messages(m in signed(), cut: usize, flip: usize) { holds(&m, cut, flip)?; }

    #[test]
    fn liveness_messages(m in liveness(), cut: usize, flip: usize) { holds(&m, cut, flip)?; }

    #[test]
    fn polka_certificates(m in polka(), cut: usize, flip: usize) { holds(&m, cut, flip)?; }

    #[test]
    fn values_in_the_log(m in value(), cut: usize, flip: usize) { holds(&m, cut, flip)?; }

    #[test]
    fn parts(m in part(), cut: usize, flip: usize) { holds(&m, cut, flip)?; }

    #[test]
    fn pieces(m in piece(), cut: usize, flip: usize) { holds(&m, cut, flip)?; }

    #[test]
    fn peer_claims(m in proof(), cut: usize, flip: usize) { holds(&m, cut, flip)?; }

    #[test]
    fn requests(m in request(), cut: usize, flip: usize) { holds(&m, cut, flip)?; }

    #[test]
    fn responses(m in response(), cut: usize, flip: usize) { holds(&m, cut, flip)?; }

    /// A peer id has several spellings of one length, so a damaged status may be another spelling.
    #[test]
    fn statuses(m in status(), cut: usize) {
        let bytes = Codec::<Status<Ctx>>::encode(&Wire, &m).unwrap();
        prop_assert_eq!(&Codec::<Status<Ctx>>::decode(&Wire, bytes.clone()).unwrap(), &m);
        prop_assert!(Codec::<Status<Ctx>>::decode(&Wire, bytes.slice(..cut % bytes.len())).is_err());
    }

    #[test]
    fn garbage_is_never_a_panic(garbage in bytes(400)) {
        let _ = Codec::<SignedConsensusMsg<Ctx>>::decode(&Wire, garbage.clone());
        let _ = Codec::<LivenessMsg<Ctx>>::decode(&Wire, garbage.clone());
        let _ = Codec::<PolkaCertificate<Ctx>>::decode(&Wire, garbage.clone());
        let _ = Codec::<ProposedValue<Ctx>>::decode(&Wire, garbage.clone());
        let _ = Codec::<StreamMessage<Part>>::decode(&Wire, garbage.clone());
        let _ = Codec::<ValidatorProof<Ctx>>::decode(&Wire, garbage.clone());
        let _ = Codec::<Status<Ctx>>::decode(&Wire, garbage.clone());
        let _ = Codec::<Request<Ctx>>::decode(&Wire, garbage.clone());
        let _ = Codec::<Response<Ctx>>::decode(&Wire, garbage);
    }

    #[test]
    fn a_response_is_as_long_as_it_says(m in response()) {
        prop_assert_eq!(Wire.encoded_len(&m).unwrap(), Codec::<Response<Ctx>>::encode(&Wire, &m).unwrap().len());
    }

    #[test]
    fn certificates_survive_the_way_through_the_engine(c in certificate()) {
        prop_assert_eq!(from_engine(&to_engine(&c).trim_vote_extensions()).unwrap(), c);
    }
}

#[test]
fn a_claimed_length_beyond_the_input_is_refused() {
    // A response with one value whose length is the largest number.
    let bytes = [&1_u64.to_le_bytes()[..], &1_u64.to_le_bytes(), &u64::MAX.to_le_bytes()].concat();
    assert!(matches!(Codec::<Response<Ctx>>::decode(&Wire, bytes.into()), Err(WireError::Codec(_))));
}

#[test]
fn what_has_no_round_or_an_extension_has_no_bytes() {
    let vote = Vote {
        kind: VoteType::Prevote,
        height: Height(1),
        round: Round::Nil,
        value: malachitebft_core_types::NilOrVal::Nil,
        voter: Address(KeyId([1; 32])),
        extension: None,
    };
    let encode = |vote: Vote| Wire.encode(&SignedConsensusMsg::Vote(SignedMessage::new(vote, Sig(Signature([0; 64])))));
    assert_eq!(encode(vote.clone()), Err(WireError::NoRound(NoRound)));
    let extension = Some(SignedMessage::new((), Sig(Signature([0; 64]))));
    assert_eq!(encode(Vote { round: Round::new(0), extension, ..vote.clone() }), Err(WireError::Extension));
    assert!(encode(Vote { round: Round::new(0), ..vote }).is_ok());
}

#[test]
fn the_signers_of_a_certificate_ascend() {
    let of = |signers: [u8; 2]| {
        let signatures = signers.map(|n| (KeyId([n; 32]), Signature([0; 64]))).to_vec();
        Response::<Ctx>::from_mirror((
            7,
            vec![(Bytes::new(), Certificate { height: 7, round: 0, block: Digest([3; 32]), signatures })],
        ))
    };
    assert!(of([1, 2]).is_ok());
    assert_eq!(of([2, 1]), Err(WireError::Signers { height: 7 }));
    assert_eq!(of([1, 1]), Err(WireError::Signers { height: 7 }));
}

#[test]
fn a_stream_id_has_a_bound() {
    let piece = |n: usize| {
        let piece = StreamMessage::<Part>::new(StreamId::new(vec![0; n].into()), 0, StreamContent::Fin);
        Codec::<StreamMessage<Part>>::decode(&Wire, Wire.encode(&piece).unwrap())
    };
    assert!(piece(STREAM_ID_BYTES_MAX).is_ok());
    assert_eq!(piece(STREAM_ID_BYTES_MAX + 1), Err(WireError::StreamId { found: STREAM_ID_BYTES_MAX + 1 }));
}

#[test]
fn a_full_piece_and_a_full_answer_fit() {
    let piece = StreamMessage::new(
        StreamId::new(vec![0; 52].into()),
        7,
        StreamContent::Data(Part::Data(vec![1; CHUNK_BYTES].into())),
    );
    assert!(Wire.encode(&piece).unwrap().len() <= PART_BYTES_MAX);
    let signatures = (0..128).map(|n| (KeyId([n; 32]), Signature([2; 64]))).collect();
    let value =
        (Bytes::from(vec![0; 1024 * 1024]), Certificate { height: 1, round: 0, block: Digest([3; 32]), signatures });
    let response = Response::from_mirror((1, vec![value; 8])).unwrap();
    assert!(Codec::<Response<Ctx>>::encode(&Wire, &response).is_ok());
}
