//! The state machine by small stories, and by random events.

use super::*;
use crate::rotation::policy::Lead;
use crate::rotation::receipt::Receipt;
use crate::rotation::{ClientCredentials, Validity};
use crate::secret::SecretText;
use proptest::prelude::*;

struct Half;

impl Draw for Half {
    fn draw(&mut self) -> UnitInterval {
        UnitInterval::new(0.5).unwrap()
    }
}

fn at(seconds: i64) -> Reading {
    at_millis(seconds * 1000)
}

fn at_millis(millis: i64) -> Reading {
    let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let span = SignedDuration::from_millis(millis);
    Reading { wall: noon + span, boot: BootInstant(span) }
}

fn policy() -> Policy {
    Policy {
        lead: Lead::RenewAt(0.5),
        jitter: 0.0,
        feeds_kubelet: false,
        mint_budget: 3,
        default_lifetime: SignedDuration::from_hours(1),
        schedule: None,
        suspended: false,
    }
}

fn insert(name: &str) -> Insert {
    Insert {
        name: RotationName::parse(name).unwrap(),
        issuer: "bandwidth".into(),
        max_concurrent: 2,
        policy: policy(),
        spec: SpecDigest::of([("a", "1")]),
        sinks: vec!["directory/a".into(), "directory/b".into()],
        is_basic: false,
    }
}

fn fingerprint(secret: &str) -> KeyedFingerprint {
    KeyedFingerprint::of(&ClientCredentials { id: SecretText::new("id"), secret: SecretText::new(secret) })
}

fn held(generation: u64, lifetime: i64, asked: Reading) -> Held {
    let receipt = Receipt {
        installation: "everbearer".into(),
        rotation: RotationName::parse("voice").unwrap(),
        generation,
        validity: Validity::new(asked.wall, SignedDuration::from_secs(lifetime)),
        jitter: UnitInterval::ZERO,
        spec: SpecDigest::of([("a", "1")]),
        render: SpecDigest::of([]),
        credentials: None,
        source_version: None,
        handled_request: None,
        mac: None,
    };
    Held::minted(&receipt, fingerprint("one"), asked)
}

fn both(look: &Look) -> Vec<(SinkName, Look)> {
    vec![("directory/a".into(), look.clone()), ("directory/b".into(), look.clone())]
}

fn observed(look: &Look) -> Outcome {
    Outcome::Observed { seen: Some(fingerprint("one")), adopted: None, sinks: both(look), failure: None }
}

fn minted(generation: u64, asked: Reading) -> Outcome {
    Outcome::Minted { held: held(generation, 3600, asked), sinks: both(&Look::InSync) }
}

fn mint_failed(kind: FailureKind) -> Outcome {
    Outcome::MintFailed { kind, maybe_minted: false, seen: Some(fingerprint("one")), sinks: vec![] }
}

const EMPTY: Look = Look::Behind { expires_at: None };
const TRANSIENT: FailureKind = FailureKind::Transient;

/// A schedule with one rotation, and shorthand to drive it.
struct One {
    schedule: Schedule,
    id: RotationId,
}

impl One {
    fn new(insert: Insert) -> Self {
        let mut schedule = Schedule::default();
        let id = schedule.insert(insert, at(0));
        Self { schedule, id }
    }

    /// Observed at noon with empty sinks and minted then.
    fn fresh() -> Self {
        let mut one = Self::new(insert("voice"));
        assert_eq!(one.take(at(0)), Some(Action::Observe));
        one.record(observed(&EMPTY), at(0));
        assert!(matches!(one.take(at(0)), Some(Action::Mint { reason: Reason::NeverDelivered, .. })));
        one.record(minted(1, at(0)), at(0));
        one
    }

    fn take(&mut self, now: Reading) -> Option<Action> {
        let mut due = self.schedule.take_due(now, &mut Half);
        assert!(due.len() <= 1, "a rotation never runs twice at once");
        due.pop().map(|(_, action)| action)
    }

    fn reason(&mut self, now: Reading) -> Option<Reason> {
        match self.take(now) {
            Some(Action::Mint { reason, .. }) => Some(reason),
            Some(other) => panic!("{other:?}"),
            None => None,
        }
    }

    fn record(&mut self, outcome: Outcome, now: Reading) {
        self.schedule.record(self.id, outcome, now, &mut Half);
    }

    fn wake(&self, now: Reading) -> Option<i64> {
        self.schedule.next_wake(now).map(|span| span.as_secs())
    }

    fn state(&self, now: Reading) -> State {
        self.schedule.view(self.id, now).unwrap().state
    }
}

#[test]
fn nothing_is_minted_before_the_sinks_were_looked_at() {
    let mut one = One::new(insert("voice"));
    assert_eq!(one.take(at(0)), Some(Action::Observe));
    let failed = Outcome::Observed {
        seen: None,
        adopted: None,
        sinks: both(&Look::Failed { kind: TRANSIENT, refused: false }),
        failure: Some(TRANSIENT),
    };
    one.record(failed, at(0));
    assert_eq!(one.take(at(0)), None, "the look is repeated after a pause");
    assert_eq!(one.wake(at(0)), Some(1));
    assert_eq!(one.take(at(1)), Some(Action::Observe));
}

#[test]
fn a_fresh_token_in_the_sinks_is_adopted_and_not_minted_again() {
    let mut one = One::new(insert("voice"));
    one.take(at(0));
    let adopted = Outcome::Observed {
        seen: Some(fingerprint("one")),
        adopted: Some(held(4, 3600, at(-600))),
        sinks: both(&Look::InSync),
        failure: None,
    };
    one.record(adopted, at(0));
    assert_eq!(one.take(at(0)), None);
    assert_eq!(one.wake(at(0)), Some(1200), "half of the hour has 20 minutes to go");
    let Some(Action::Mint { reason: Reason::Due, generation: 5, .. }) = one.take(at(1200)) else {
        panic!("the next generation is minted when the token is due")
    };
}

#[test]
fn a_failure_keeps_the_token_and_is_retried_until_it_expires() {
    let mut one = One::fresh();
    assert_eq!(one.reason(at(1800)), Some(Reason::Due));
    one.record(mint_failed(TRANSIENT), at(1800));
    assert_eq!(one.state(at(1800)), State::Degraded);
    assert_eq!(one.take(at(1800)), None);
    assert_eq!(one.reason(at(1801)), Some(Reason::Due), "half of a second, but never within a second");
    one.record(mint_failed(TRANSIENT), at(1801));
    assert_eq!(one.wake(at(1801)), Some(1));
}

#[test]
fn a_broken_sink_is_served_again_with_the_held_token_and_never_costs_a_mint() {
    let mut one = One::new(insert("voice"));
    one.take(at(0));
    one.record(observed(&EMPTY), at(0));
    one.take(at(0));
    let broken = Look::Failed { kind: TRANSIENT, refused: false };
    let sinks = vec![("directory/a".into(), Look::InSync), ("directory/b".into(), broken.clone())];
    one.record(Outcome::Minted { held: held(1, 3600, at(0)), sinks }, at(0));
    let mut seconds = 0;
    for _ in 0..20 {
        let wait = one.schedule.next_wake(at(seconds)).unwrap().as_secs() + 1;
        seconds += wait;
        if seconds >= 1800 {
            break;
        }
        let Some(action) = one.take(at(seconds)) else { continue };
        assert_eq!(action, Action::Deliver { sinks: vec!["directory/b".into()] });
        one.record(Outcome::Delivered { sinks: vec![("directory/b".into(), broken.clone())] }, at(seconds));
    }
    assert!(seconds > 600, "the retries back off");
    assert_eq!(one.state(at(seconds.min(1700))), State::Degraded);
}

#[test]
fn changed_credentials_end_any_pause() {
    let mut one = One::fresh();
    assert_eq!(one.reason(at(1800)), Some(Reason::Due));
    one.record(mint_failed(FailureKind::CredentialRejected), at(1800));
    assert_eq!(one.take(at(1830)), None);
    one.schedule.credentials_seen(one.id, fingerprint("one"), at(1830));
    assert_eq!(one.take(at(1830)), None, "the same credentials change nothing");
    one.schedule.credentials_seen(one.id, fingerprint("two"), at(1830));
    assert_eq!(one.reason(at(1830)), Some(Reason::CredentialsChanged));
}

#[test]
fn a_request_is_carried_out_once_and_ends_a_pause_but_not_a_throttle() {
    let mut one = One::fresh();
    one.schedule.request(one.id, at(60));
    assert_eq!(one.reason(at(60)), Some(Reason::Requested));
    one.record(mint_failed(FailureKind::Permanent { named: true }), at(60));
    assert_eq!(one.take(at(62)), None, "still pending, but paused");
    one.schedule.request(one.id, at(62));
    assert_eq!(one.reason(at(62)), Some(Reason::Requested));
    let throttled = FailureKind::Throttled { retry_after: Some(SignedDuration::from_secs(100)) };
    one.record(mint_failed(throttled), at(62));
    one.schedule.request(one.id, at(70));
    assert_eq!(one.take(at(70)), None, "the issuer asked for patience");
    assert_eq!(one.reason(at(162)), Some(Reason::Requested));
    one.record(minted(2, at(162)), at(162));
    assert_eq!(one.take(at(170)), None);
}

#[test]
fn requests_beyond_the_budget_wait_and_due_still_passes() {
    let mut one = One::fresh(); // the first of three
    for (generation, second) in [(2, 10), (3, 20)] {
        one.schedule.request(one.id, at(second));
        assert_eq!(one.reason(at(second)), Some(Reason::Requested));
        one.record(minted(generation, at(second)), at(second));
    }
    one.schedule.request(one.id, at(30));
    assert_eq!(one.take(at(30)), None, "the budget of three is spent");
    assert_eq!(one.reason(at(1820)), Some(Reason::Due), "what is due passes all the same");
}

#[test]
fn suspended_rotations_are_looked_at_and_nothing_else() {
    let mut suspended = insert("voice");
    suspended.policy.suspended = true;
    let mut one = One::new(suspended);
    assert_eq!(one.take(at(0)), Some(Action::Observe));
    one.record(observed(&EMPTY), at(0));
    assert_eq!(one.take(at(0)), None);
    assert_eq!(one.wake(at(0)), None);
    assert_eq!(one.state(at(0)), State::Suspended);
}

#[test]
fn a_replaced_rotation_keeps_its_token_and_mints_only_if_its_spec_changed() {
    let mut one = One::fresh();
    let same = one.schedule.insert(insert("voice"), at(60));
    assert_eq!(same, one.id);
    assert_eq!(one.take(at(60)), Some(Action::Observe));
    let in_sync = Outcome::Observed { seen: None, adopted: None, sinks: both(&Look::InSync), failure: None };
    one.record(in_sync.clone(), at(60));
    assert_eq!(one.take(at(60)), None);
    one.schedule.insert(Insert { spec: SpecDigest::of([("a", "2")]), ..insert("voice") }, at(70));
    assert_eq!(one.reason(at(70)), Some(Reason::SpecChanged), "a mint looks at its sinks by itself");
}

#[test]
fn an_outcome_for_a_rotation_that_left_frees_its_place_and_changes_nothing() {
    let mut schedule = Schedule::default();
    let mut ids = vec![];
    for name in ["a", "b", "c"] {
        ids.push(schedule.insert(insert(name), at(0)));
    }
    for (id, _) in schedule.take_due(at(0), &mut Half) {
        schedule.record(id, observed(&EMPTY), at(0), &mut Half);
    }
    let started = schedule.take_due(at(0), &mut Half);
    assert_eq!(started.len(), 2, "two at once at this issuer");
    let gone = started[0].0;
    let name = RotationName::parse(["a", "b", "c"][ids.iter().position(|id| *id == gone).unwrap()]).unwrap();
    schedule.remove(&name);
    assert_eq!(schedule.id(&name), None);
    assert!(schedule.take_due(at(0), &mut Half).is_empty(), "its request still counts at the issuer");
    schedule.record(gone, minted(1, at(0)), at(0), &mut Half);
    assert_eq!(schedule.take_due(at(0), &mut Half).len(), 1, "its place is free");
    assert_eq!(schedule.len(), 2);
}

#[test]
fn a_rotation_that_comes_back_waits_for_what_it_left_under_way() {
    let mut one = One::new(insert("voice"));
    assert_eq!(one.take(at(0)), Some(Action::Observe));
    let name = RotationName::parse("voice").unwrap();
    assert_eq!(one.schedule.remove(&name), Some(one.id));
    assert_eq!(one.schedule.remove(&name), None, "once");
    assert_eq!(one.schedule.insert(insert("voice"), at(0)), one.id);
    assert_eq!(one.take(at(0)), None, "never twice at once");
    one.record(observed(&EMPTY), at(0));
    assert!(one.take(at(0)).is_some());
}

#[test]
fn the_earliest_expiry_passes_first() {
    let mut schedule = Schedule::default();
    let lifetimes = [("late", 7200), ("early", 3600), ("middle", 5400)];
    let mut names = HashMap::new();
    for (name, lifetime) in lifetimes {
        let id = schedule.insert(Insert { max_concurrent: 1, ..insert(name) }, at(0));
        names.insert(id, (name, lifetime));
    }
    for (id, _) in schedule.take_due(at(0), &mut Half) {
        let adopted = Some(held(1, names[&id].1, at(0)));
        let seen = Some(fingerprint("one"));
        let sinks = both(&Look::InSync);
        schedule.record(id, Outcome::Observed { seen, adopted, sinks, failure: None }, at(0), &mut Half);
    }
    let mut order = vec![];
    for _ in 0..3 {
        let started = schedule.take_due(at(3700), &mut Half);
        assert_eq!(started.len(), 1);
        order.push(names[&started[0].0].0);
        schedule.record(started[0].0, minted(2, at(3700)), at(3700), &mut Half);
    }
    assert_eq!(order, ["early", "middle", "late"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Random outcomes and commands: a wake never lies in the past of something due, nothing runs twice at once,
    /// requests in a row are a second apart, and tokens for reasons that are not urgent stay within the budget.
    #[test]
    fn the_plan_holds_under_random_events(events in proptest::collection::vec((0u8..8, 1i64..2_000_000), 1..200)) {
        let mut schedule = Schedule::default();
        let id = schedule.insert(insert("voice"), at(0));
        let mut now = 0;
        let mut running: Option<Action> = None;
        let mut generation = 0;
        let mut last_request: Option<i64> = None;
        let mut voluntary: Vec<i64> = vec![];
        for (event, span) in events {
            now += span;
            let reading = at_millis(now);
            if let Some(action) = running.take() {
                let outcome = match (&action, event) {
                    (Action::Observe, _) => observed(&EMPTY),
                    (Action::Mint { .. }, 0 | 1) => mint_failed(TRANSIENT),
                    (Action::Mint { .. }, 2) => mint_failed(FailureKind::Permanent { named: false }),
                    (Action::Mint { reason, .. }, _) => {
                        generation += 1;
                        if !reason.is_urgent() {
                            voluntary.push(now);
                        }
                        let lost = Look::Failed { kind: TRANSIENT, refused: false };
                        let sinks = both(if event == 3 { &lost } else { &Look::InSync });
                        Outcome::Minted { held: held(generation, 3600, reading), sinks }
                    }
                    (Action::Deliver { sinks }, _) => {
                        Outcome::Delivered { sinks: sinks.iter().map(|s| (s.clone(), Look::InSync)).collect() }
                    }
                };
                schedule.record(id, outcome, reading, &mut Half);
            } else if event < 4 {
                schedule.request(id, reading);
            } else if event == 4 {
                schedule.look_at_sinks(id, reading);
            } else if event == 5 {
                schedule.credentials_seen(id, fingerprint(if span % 2 == 0 { "one" } else { "two" }), reading);
            }
            let before = schedule.next_wake(reading);
            let started = schedule.take_due(reading, &mut Half);
            prop_assert!(started.len() <= 1);
            prop_assert!(
                started.is_empty() || before == Some(SignedDuration::ZERO),
                "started without a wake: {started:?}, {before:?}"
            );
            prop_assert!(
                schedule.next_wake(reading) != Some(SignedDuration::ZERO),
                "take_due left something that is due"
            );
            if let Some((_, action)) = started.into_iter().next() {
                prop_assert!(running.is_none());
                if let Action::Mint { .. } = action {
                    prop_assert!(last_request.is_none_or(|last| now - last >= 1000));
                    last_request = Some(now);
                }
                running = Some(action);
            }
        }
        for window in voluntary.windows(4) {
            prop_assert!(window[3] - window[0] >= 3_600_000, "more than the budget in one lifetime");
        }
    }
}
