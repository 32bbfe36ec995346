//! The lead, the order of the checks, and both clocks, as tables of named cases.

use super::*;
use crate::rotation::receipt::SpecDigest;
use proptest::prelude::*;

fn policy() -> Policy {
    Policy {
        lead: Lead::RenewAt(0.5),
        jitter: 0.1,
        feeds_kubelet: false,
        mint_budget: 10,
        default_lifetime: SignedDuration::from_hours(1),
        schedule: None,
        suspended: false,
    }
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn draw(value: f64) -> UnitInterval {
    UnitInterval::new(value).unwrap()
}

/// `seconds` after noon by both clocks.
fn at(seconds: i64) -> Reading {
    at_wall_and_boot(seconds, seconds)
}

fn at_wall_and_boot(wall: i64, boot: i64) -> Reading {
    let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    Reading {
        wall: noon + SignedDuration::from_secs(wall),
        boot: BootInstant(SignedDuration::from_secs(1_000_000 + boot)),
    }
}

fn receipt(lifetime: SignedDuration, jitter: UnitInterval) -> Receipt {
    Receipt {
        installation: "everbearer".into(),
        rotation: crate::rotation::RotationName::parse("voice").unwrap(),
        generation: 1,
        validity: Validity::new(at(0).wall, lifetime),
        jitter,
        spec: SpecDigest::of([("a", "1")]),
        render: SpecDigest::of([]),
        credentials: None,
        source_version: None,
        handled_request: None,
        mac: None,
    }
}

fn fingerprint(secret: &str) -> KeyedFingerprint {
    use crate::secret::SecretText;
    KeyedFingerprint::of(&crate::rotation::ClientCredentials {
        id: SecretText::new("id"),
        secret: SecretText::new(secret),
    })
}

/// A token of one hour, minted at noon, without jitter.
fn held() -> Held {
    Held::minted(&receipt(minutes(60), UnitInterval::ZERO), fingerprint("one"), at(0))
}

fn facts(held: Option<&Held>) -> Facts<'_> {
    Facts {
        held,
        spec: SpecDigest::of([("a", "1")]),
        seen: Some(fingerprint("one")),
        requested: false,
        tick: None,
    }
}

fn reasons_at(facts: Facts<'_>, now: Reading) -> Vec<Reason> {
    wanted(&policy(), facts).filter(|(_, when)| when.has_come(now)).map(|(reason, _)| reason).collect()
}

#[test]
fn the_lead_is_as_configured_and_jitter_only_lengthens_it() {
    let with = |lead, jitter, feeds_kubelet| Policy { lead, jitter, feeds_kubelet, ..policy() };
    let half = Lead::RenewAt(0.5);
    for (sentence, policy, lifetime, drawn, expected, cut) in [
        ("half of the lifetime", with(half, 0.1, false), 60, 0.0, minutes(30), false),
        ("jitter lengthens it", with(half, 0.1, false), 60, 0.5, SignedDuration::from_secs(1890), false),
        (
            "a span ahead of expiry",
            with(Lead::RenewBefore(minutes(20)), 0.0, false),
            60,
            0.0,
            minutes(20),
            false,
        ),
        (
            "late renewal is raised for kubelet",
            with(Lead::RenewAt(0.99), 0.0, true),
            60,
            0.0,
            minutes(5),
            false,
        ),
        ("but not above half", with(Lead::RenewAt(0.99), 0.0, true), 4, 0.0, minutes(2), false),
        (
            "an explicit span wins over kubelet",
            with(Lead::RenewBefore(minutes(1)), 0.0, true),
            60,
            0.0,
            minutes(1),
            false,
        ),
        (
            "nine tenths are cut to two thirds",
            with(Lead::RenewAt(0.1), 0.0, false),
            60,
            0.0,
            minutes(40),
            true,
        ),
        (
            "more than the lifetime too",
            with(Lead::RenewBefore(minutes(600)), 0.1, false),
            60,
            0.9,
            minutes(40),
            true,
        ),
        ("jitter included", with(Lead::RenewAt(0.15), 0.1, false), 60, 0.9, minutes(40), true),
        ("just below stays", with(Lead::RenewAt(0.11), 0.0, false), 100, 0.0, minutes(89), false),
    ] {
        assert_eq!(policy.lead(minutes(lifetime), draw(drawn)), (expected, cut), "{sentence}");
    }
}

#[test]
fn reasons_come_in_the_order_of_the_checks() {
    let token = held();
    let fresh = facts(Some(&token));
    for (sentence, facts, now, expected) in [
        ("a fresh token needs nothing", fresh, at(60), vec![]),
        ("nothing held means never delivered", facts(None), at(0), vec![Reason::NeverDelivered]),
        ("half-life is due", fresh, at(1800), vec![Reason::Due]),
        ("one second earlier is not", fresh, at(1799), vec![]),
        (
            "a request comes first",
            Facts { requested: true, ..fresh },
            at(1800),
            vec![Reason::Requested, Reason::Due],
        ),
        (
            "a changed spec",
            Facts { spec: SpecDigest::of([("a", "2")]), ..fresh },
            at(60),
            vec![Reason::SpecChanged],
        ),
        (
            "changed credentials",
            Facts { seen: Some(fingerprint("two")), ..fresh },
            at(60),
            vec![Reason::CredentialsChanged],
        ),
        ("unknown credentials change nothing", Facts { seen: None, ..fresh }, at(60), vec![]),
        ("a cron tick", Facts { tick: Some(at(600).wall), ..fresh }, at(600), vec![Reason::Scheduled]),
        ("before the tick", Facts { tick: Some(at(600).wall), ..fresh }, at(599), vec![]),
    ] {
        assert_eq!(reasons_at(facts, now), expected, "{sentence}");
    }
}

#[test]
fn due_is_whichever_clock_comes_first() {
    let token = held();
    let due = |now| reasons_at(facts(Some(&token)), now) == [Reason::Due];
    assert!(due(at_wall_and_boot(1800, 0)), "the wall clock was stepped forward");
    assert!(due(at_wall_and_boot(-86_400, 1800)), "the wall clock was stepped back a day");
    assert!(!due(at_wall_and_boot(-86_400, 1799)), "a step back alone costs no mint");
}

#[test]
fn a_token_is_used_up_shortly_before_it_expires() {
    let token = held();
    assert!(token.is_usable(at(3589)));
    assert!(!token.is_usable(at(3590)), "10 s before expiry");
    let short = Held::minted(&receipt(SignedDuration::from_secs(20), draw(0.0)), fingerprint("one"), at(0));
    assert!(short.is_usable(at(17)));
    assert!(!short.is_usable(at(18)), "a tenth of a short lifetime");
}

#[test]
fn an_adopted_token_is_as_old_as_the_wall_clock_says() {
    let found = receipt(minutes(60), UnitInterval::ZERO);
    let adopted = |age: i64| Held::adopted(&found, None, &policy(), at_wall_and_boot(age, 0));
    let until_due = |age: i64| {
        let token = adopted(age);
        let when =
            wanted(&policy(), facts(Some(&token))).find(|(reason, _)| *reason == Reason::Due).unwrap().1;
        when.until(at_wall_and_boot(age, 0))
    };
    assert_eq!(until_due(600), minutes(20));
    assert_eq!(until_due(3000), SignedDuration::ZERO);
    assert_eq!(until_due(-60), minutes(30), "a replica's clock may be a little ahead");
    assert_eq!(until_due(-1000), SignedDuration::ZERO, "an age that nobody knows is due");
}

#[test]
fn a_jittered_tick_stays_within_the_span_of_the_jitter() {
    let token = Held::minted(&receipt(minutes(60), draw(0.5)), fingerprint("one"), at(0));
    let facts = Facts { tick: Some(at(600).wall), ..facts(Some(&token)) };
    let (_, when) = wanted(&policy(), facts).find(|(reason, _)| *reason == Reason::Scheduled).unwrap();
    assert_eq!(when.wall, Some(at(600 + 90).wall), "half of a tenth of the 30 min lead");
}

proptest! {
    #[test]
    fn a_lead_is_always_shorter_than_the_lifetime_and_never_shorter_than_without_jitter(
        lifetime in 1i64..400_000_000,
        share in 0.01f64..0.99,
        before in 0i64..400_000_000,
        relative: bool,
        jitter in 0.0f64..0.5,
        drawn in 0.0f64..1.0,
        feeds_kubelet: bool,
    ) {
        let lead = if relative {
            Lead::RenewAt(share)
        } else {
            Lead::RenewBefore(SignedDuration::from_secs(before))
        };
        let policy = Policy { lead, jitter, feeds_kubelet, ..policy() };
        let lifetime = SignedDuration::from_secs(lifetime);
        let (without, cut_without) = policy.lead(lifetime, UnitInterval::ZERO);
        let (with, cut) = policy.lead(lifetime, draw(drawn));
        prop_assert!(with < lifetime.mul_f64(0.9) || cut);
        prop_assert!(with < lifetime, "a lead of the whole lifetime would loop");
        prop_assert!(cut || cut_without || with >= without);
    }
}
