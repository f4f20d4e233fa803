use super::*;
use crate::upstream::{
    credentials::{Pass, key::SigningKey},
    secret::Secret,
    token::Token,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A ledger, and what a call does with it.
struct Calls {
    ledger: Ledger,
    now: Instant,
}

fn token(name: &str) -> Issued {
    let pass = Pass::Token(Token::parse(name.as_bytes()).unwrap());
    Issued { pass, lifetime: Some(Duration::from_hours(24)) }
}

fn key(name: &str) -> Issued {
    let secret = |text: &str| Secret::line(text.as_bytes()).unwrap();
    let key = SigningKey::new(secret(name), secret("secret"), None);
    Issued { pass: Pass::Key(key), lifetime: None }
}

fn refusal() -> FetchError {
    FetchError::no_answer(ErrorKind::GatewayCredentialsRejected, "refused".to_owned())
}

fn unavailable() -> FetchError {
    FetchError::no_answer(ErrorKind::GatewayCredentialsUnavailable, String::new())
}

/// Another pass was to be used after this one.
fn changing(lease: &Lease) -> Refused {
    Refused { lease: lease.number(), repeats: false }
}

/// This one was to be used once more.
fn repeating(lease: &Lease) -> Refused {
    Refused { lease: lease.number(), repeats: true }
}

impl Calls {
    fn new(renews: bool, issued: Issued) -> Self {
        let (mut ledger, now) = (Ledger::new(renews), Instant::now());
        ledger.publish(issued, now);
        Self { ledger, now }
    }

    /// The lease for a call. The trial of a newer one is free.
    fn lease(&mut self, project: &str, before: impl Into<Option<Refused>>) -> Option<Lease> {
        match self.ledger.choose(project, before.into(), self.now) {
            Choice::Use(lease) | Choice::Try(lease) | Choice::Either(lease, _) => Some(lease),
            Choice::Wait | Choice::Fail(_) => None,
        }
    }

    fn refuse(
        &mut self,
        project: &str,
        lease: &Lease,
        before: impl Into<Option<Refused>>,
    ) -> Verdict {
        self.ledger.refused(lease, project, self.now, &refusal(), before.into(), self.now)
    }

    /// A call that the upstream takes; false if there was nothing to ask with.
    fn good(&mut self, project: &str) -> bool {
        self.now += SECOND / 1000;
        let lease = self.lease(project, None);
        lease.is_some_and(|lease| {
            self.ledger.taken(&lease, project, self.now);
            true
        })
    }

    /// A call that the upstream refuses each time: how many requests were sent for it.
    fn bad(&mut self, project: &str, mut renewal: impl FnMut(&mut Ledger, Instant)) -> usize {
        self.now += SECOND / 1000;
        let (mut sent, mut before) = (0, None);
        while let Some(lease) = self.lease(project, before) {
            sent += 1;
            assert!(sent <= 3, "a call for ever");
            let verdict = self.refuse(project, &lease, before);
            match verdict {
                Verdict::Fail => break,
                Verdict::Repeat | Verdict::Change => {}
                Verdict::ChangeAfter(tries) => {
                    assert_eq!(self.ledger.want(), Some(Want::Now));
                    renewal(&mut self.ledger, self.now);
                    assert!(self.ledger.tries() > tries);
                }
            }
            let repeats = verdict == Verdict::Repeat;
            before = Some(Refused { lease: lease.number(), repeats });
        }
        sent
    }
}

fn none(_: &mut Ledger, _: Instant) {
    panic!("no renewal was expected");
}

#[test]
fn a_project_that_is_refused_takes_nothing_from_others() {
    for kind in ["token", "key"] {
        let mut calls = match kind {
            "token" => Calls::new(true, token("t0")),
            _ => Calls::new(false, key("AK")),
        };
        assert!(calls.good("good"));
        for number in 0..100 {
            let name = format!("t{number}-renewed");
            calls.bad("bad", |ledger, now| ledger.publish(token(&name), now));
            assert!(calls.good("good"), "{kind} {number}");
            assert_eq!(calls.ledger.readiness(calls.now), Readiness::Ready, "{kind}");
            calls.now += SECOND;
        }
    }
}

#[test]
fn a_project_is_left_alone_longer_with_each_refusal() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("good"));
    let renew = |ledger: &mut Ledger, now| ledger.publish(token("u"), now);
    for seconds in [29, 59, 119, 239, 479, 599, 599] {
        assert_eq!(calls.bad("bad", renew), 2);
        calls.now += Duration::from_secs(seconds);
        assert_eq!(calls.bad("bad", none), 0, "{seconds}");
        calls.now += 2 * SECOND;
    }
    assert!(calls.good("bad"));
    assert_eq!(calls.bad("bad", renew), 2);
    assert!(calls.good("bad"), "a known project is not held");
}

#[test]
fn a_token_that_ended_before_its_first_use_is_renewed() {
    let mut calls = Calls::new(true, token("t"));
    let lease = calls.lease("p", None).unwrap();
    assert!(matches!(calls.refuse("p", &lease, None), Verdict::ChangeAfter(_)));
    assert_eq!(calls.ledger.want(), Some(Want::Now));
    // All who are refused meanwhile wait for the same renewal.
    for _ in 0..100 {
        assert!(matches!(calls.refuse("p", &lease, None), Verdict::ChangeAfter(_)));
    }
    assert_eq!(calls.ledger.want(), None);
    calls.ledger.publish(token("u"), calls.now);
    assert_ne!(calls.lease("p", changing(&lease)).unwrap().number(), lease.number());
}

#[test]
fn refusals_at_random_cause_few_renewals() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("p"));
    let mut renewals = 0;
    for number in 0..1000 {
        calls.now += SECOND;
        let lease = calls.lease("p", None).unwrap();
        if let Verdict::ChangeAfter(_) = calls.refuse("p", &lease, None) {
            renewals += 1;
            calls.ledger.publish(token(&format!("t{number}")), calls.now);
        }
        // The second time is good, with whatever there is.
        let again = calls.lease("p", changing(&lease)).unwrap();
        calls.ledger.taken(&again, "p", calls.now);
        assert_eq!(calls.ledger.readiness(calls.now), Readiness::Ready);
    }
    // A thousand seconds, four a minute.
    assert!((50..=70).contains(&renewals), "{renewals}");
}

#[test]
fn a_refusal_while_others_are_taken_causes_no_renewal() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("good"));
    let (lease, sent) = (calls.lease("bad", None).unwrap(), calls.now);
    assert!(calls.good("good"));
    let error = refusal();
    let verdict = calls.ledger.refused(&lease, "bad", sent, &error, None, calls.now);
    assert_eq!((verdict, calls.ledger.want()), (Verdict::Repeat, None));
    // The same once more.
    let (before, sent) = (repeating(&lease), calls.now);
    assert!(calls.good("good"));
    let verdict = calls.ledger.refused(&lease, "bad", sent, &error, Some(before), calls.now);
    assert_eq!((verdict, calls.ledger.want()), (Verdict::Fail, None));
}

#[test]
fn a_refusal_that_was_overtaken_is_repeated_before_a_renewal() {
    let mut calls = Calls::new(true, token("t"));
    let (lease, sent) = (calls.lease("late", None).unwrap(), calls.now);
    assert!(calls.good("early"));
    // Now it has ended.
    let error = refusal();
    let verdict = calls.ledger.refused(&lease, "late", sent, &error, None, calls.now);
    assert_eq!((verdict, calls.ledger.want()), (Verdict::Repeat, None));
    calls.now += SECOND / 1000;
    let before = repeating(&lease);
    assert!(calls.lease("late", before).unwrap().is(&lease));
    assert!(matches!(calls.refuse("late", &lease, before), Verdict::ChangeAfter(_)));
    assert_eq!(calls.ledger.want(), Some(Want::Now));
    calls.ledger.publish(token("u"), calls.now);
    let renewed = calls.lease("late", before).unwrap();
    assert_ne!(renewed.number(), lease.number());
    // Refused as well: it is the project.
    let before = changing(&lease);
    assert_eq!(calls.refuse("late", &renewed, before), Verdict::Fail);
}

#[test]
fn a_pass_that_came_during_a_repeat_is_tried_without_a_renewal() {
    let mut calls = Calls::new(true, token("t"));
    let (lease, sent) = (calls.lease("late", None).unwrap(), calls.now);
    assert!(calls.good("early"));
    let error = refusal();
    calls.ledger.refused(&lease, "late", sent, &error, None, calls.now);
    calls.now += SECOND / 1000;
    calls.ledger.publish(token("u"), calls.now);
    let before = repeating(&lease);
    assert_eq!(calls.refuse("late", &lease, before), Verdict::Change);
    assert_eq!(calls.ledger.want(), None);
}

#[test]
fn a_repeat_that_got_another_pass_is_the_last() {
    let mut calls = Calls::new(true, token("t"));
    let (lease, sent) = (calls.lease("late", None).unwrap(), calls.now);
    assert!(calls.good("early"));
    calls.ledger.refused(&lease, "late", sent, &refusal(), None, calls.now);
    calls.ledger.publish(token("u"), calls.now);
    assert!(calls.good("early"));
    calls.now += SECOND / 1000;
    let before = repeating(&lease);
    let renewed = calls.lease("late", before).unwrap();
    assert_ne!(renewed.number(), lease.number());
    assert_eq!(calls.refuse("late", &renewed, before), Verdict::Fail);
    assert_eq!(calls.ledger.want(), None);
}

#[test]
fn a_call_that_was_overtaken_is_repeated_though_iam_is_away() {
    let mut calls = Calls::new(true, token("t"));
    calls.ledger.fail(Arc::new(unavailable()));
    let (lease, sent) = (calls.lease("late", None).unwrap(), calls.now);
    assert!(calls.good("early"));
    calls.ledger.refused(&lease, "late", sent, &refusal(), None, calls.now);
    assert!(calls.lease("late", repeating(&lease)).unwrap().is(&lease));
}

#[test]
fn no_call_is_repeated_for_ever_and_iam_is_asked_seldom() {
    for seed in 0..100 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut calls = Calls::new(true, token("t"));
        let (mut forced, mut rejected) = (VecDeque::new(), false);
        for number in 0..1000 {
            calls.now += SECOND.mul_f64(rng.f64() * 5.0);
            if rng.u8(..10) == 0 {
                calls.ledger.publish(token(&format!("t{number}")), calls.now);
                rejected = false;
            }
            let project = format!("p{}", rng.u8(..5));
            let (mut requests, mut before) = (0, None);
            while let Some(lease) = calls.lease(&project, before) {
                requests += 1;
                assert!(requests <= 3, "{seed} {number}");
                let sent = calls.now;
                if rng.bool() {
                    calls.good("good");
                }
                if rng.u8(..4) == 0 {
                    calls.ledger.taken(&lease, &project, sent);
                    break;
                }
                let now = calls.now;
                let verdict = calls.ledger.refused(&lease, &project, sent, &refusal(), before, now);
                if calls.ledger.want() == Some(Want::Now) {
                    assert!(!rejected, "{seed} {number}");
                    forced.push_back(now);
                    let reply = rng.u8(..4);
                    rejected = reply == 2;
                    match reply {
                        0 => calls.ledger.publish(token("t"), now),
                        1 => calls.ledger.fail(Arc::new(unavailable())),
                        2 => calls.ledger.fail(Arc::new(refusal())),
                        _ => calls.ledger.publish(token(&format!("t{number}-forced")), now),
                    }
                }
                before = match verdict {
                    Verdict::Fail => break,
                    Verdict::Repeat => Some(repeating(&lease)),
                    Verdict::Change | Verdict::ChangeAfter(_) => Some(changing(&lease)),
                };
            }
            while forced.front().is_some_and(|at| calls.now - *at >= MINUTE) {
                forced.pop_front();
            }
            assert!(forced.len() <= 4, "{seed} {number}");
        }
    }
}

#[test]
fn a_token_is_kept_until_the_next_one_is_taken() {
    let mut calls = Calls::new(true, token("old"));
    assert!(calls.good("p"));
    let old = calls.lease("p", None).unwrap();
    calls.ledger.publish(token("new"), calls.now);
    let new = calls.lease("p", None).unwrap();
    assert_ne!(new.number(), old.number());
    // Not known everywhere yet: the call goes on with the old one, and nobody else notices.
    assert_eq!(calls.refuse("p", &new, None), Verdict::Change);
    assert!(calls.lease("p", changing(&new)).unwrap().is(&old));
    assert_eq!(calls.ledger.want(), None);
    calls.ledger.taken(&new, "p", calls.now);
    assert!(matches!(calls.ledger.choose("p", None, calls.now), Choice::Use(it) if it.is(&new)));
}

#[test]
fn the_end_of_the_old_one_leaves_the_new_one() {
    let mut calls = Calls::new(true, Issued { lifetime: Some(MINUTE), ..token("old") });
    assert!(calls.good("p"));
    calls.ledger.publish(token("new"), calls.now);
    calls.now += 2 * MINUTE;
    assert!(
        matches!(calls.ledger.choose("p", None, calls.now), Choice::Use(it) if it.number() == 2)
    );
    calls.now += Duration::from_hours(24);
    assert!(matches!(calls.ledger.choose("p", None, calls.now), Choice::Wait));
    assert_eq!(calls.ledger.readiness(calls.now), Readiness::Ready, "it is being renewed");
    calls.ledger.fail(Arc::new(refusal()));
    assert_eq!(calls.ledger.readiness(calls.now), Readiness::Rejected);
}

#[test]
fn a_key_that_never_was_good_is_tried_twice_at_most() {
    let mut calls = Calls::new(false, key("AK"));
    let sent: usize = ["a", "a", "b", "b", "c", "d"].iter().map(|it| calls.bad(it, none)).sum();
    assert_eq!((sent, calls.ledger.readiness(calls.now)), (2, Readiness::Rejected));
    calls.now += 19 * MINUTE;
    assert_eq!(calls.bad("e", none), 0);
    calls.now += 2 * MINUTE;
    assert_eq!(calls.ledger.readiness(calls.now), Readiness::Rejected, "until it is aged");
    calls.ledger.age(calls.now);
    assert_eq!(calls.ledger.readiness(calls.now), Readiness::Ready);
    assert!(calls.good("a"));
    assert!(calls.good("c"));
}

#[test]
fn a_wrong_key_is_not_ready_though_one_project_asks() {
    let mut calls = Calls::new(false, key("AK"));
    assert_eq!((calls.bad("p", none), calls.bad("p", none)), (1, 0));
    assert_eq!(calls.ledger.readiness(calls.now), Readiness::Rejected);
}

#[test]
fn a_blocked_key_is_tried_for_a_project_that_it_was_good_for() {
    let mut calls = Calls::new(false, key("AK"));
    assert!(calls.good("good"));
    let sent: usize = ["a", "b", "c", "d"].iter().map(|it| calls.bad(it, none)).sum();
    assert_eq!(sent, 3);
    assert!(!calls.good("good"));
    calls.now += SPARE_AFTER;
    assert!(!calls.good("e"));
    assert!(calls.good("good"));
    assert!(calls.good("e"));
}

#[test]
fn no_five_signatures_in_a_row_are_wrong() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut calls = Calls::new(seed % 2 == 0, key("AK"));
        let mut refusals = VecDeque::new();
        if seed % 3 > 0 {
            assert!(calls.good("p0"));
        }
        for _ in 0..3000 {
            calls.now += SECOND.mul_f64(rng.f64() * 10.0);
            let project = format!("p{}", rng.u8(..30));
            // The metadata service may give the same key again, or another one.
            let name = format!("AK{}", rng.u8(..2));
            let sent = calls.bad(&project, |ledger, now| ledger.publish(key(&name), now));
            refusals.extend((0..sent).map(|_| calls.now));
            while refusals.front().is_some_and(|at| calls.now - *at > 15 * MINUTE) {
                refusals.pop_front();
            }
            assert!(refusals.len() < 5, "{seed}: {}", refusals.len());
        }
    }
}

#[test]
fn a_new_key_that_is_wrong_leaves_the_old_one() {
    let mut calls = Calls::new(false, key("old"));
    assert!(calls.good("p"));
    calls.ledger.reset();
    calls.ledger.publish(key("new"), calls.now);
    let new = calls.lease("p", None).unwrap();
    assert_eq!(new.number(), 2);
    assert_eq!(calls.refuse("p", &new, None), Verdict::Change);
    assert_eq!(calls.lease("p", changing(&new)).unwrap().number(), 1);
    assert!(calls.good("p"));
    for _ in 0..10 {
        assert_eq!(calls.lease("q", None).unwrap().number(), 1);
    }
}

#[test]
fn another_secret_is_another_beginning() {
    let mut calls = Calls::new(false, key("wrong"));
    assert_eq!(calls.bad("a", none) + calls.bad("b", none) + calls.bad("c", none), 2);
    calls.ledger.reset();
    calls.ledger.publish(key("right"), calls.now);
    assert!(calls.good("a") && calls.good("b"));
    assert_eq!(calls.ledger.readiness(calls.now), Readiness::Ready);
}

#[test]
fn a_token_that_both_sides_refuse_is_gone() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("p"));
    let lease = calls.lease("p", None).unwrap();
    assert!(matches!(calls.refuse("p", &lease, None), Verdict::ChangeAfter(_)));
    calls.ledger.fail(Arc::new(refusal()));
    assert!(calls.lease("p", None).is_none());
    assert_eq!(calls.ledger.readiness(calls.now), Readiness::Rejected);
}

#[test]
fn a_token_that_both_sides_refuse_is_gone_whoever_was_first() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("p"));
    calls.ledger.fail(Arc::new(refusal()));
    assert_eq!(calls.ledger.readiness(calls.now), Readiness::Ready);
    assert_eq!(calls.bad("p", none), 2);
    assert_eq!(calls.ledger.readiness(calls.now), Readiness::Rejected);
    assert_eq!(calls.bad("p", none), 0);
}

#[test]
fn a_token_from_before_a_change_is_gone_when_both_sides_refuse() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("p"));
    calls.ledger.reset();
    calls.ledger.fail(Arc::new(refusal()));
    assert_eq!(calls.bad("p", none), 2);
    assert_eq!(calls.ledger.readiness(calls.now), Readiness::Rejected);
    calls.ledger.publish(token("u"), calls.now);
    assert!(calls.good("p"), "the project was not at fault");
}

#[test]
fn the_next_token_takes_the_place_of_one_that_both_sides_refuse() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("p"));
    let lease = calls.lease("p", None).unwrap();
    assert!(matches!(calls.refuse("p", &lease, None), Verdict::ChangeAfter(_)));
    calls.ledger.publish(token("u"), calls.now);
    calls.ledger.fail(Arc::new(refusal()));
    assert_eq!(calls.lease("p", None).unwrap().number(), 2);
    assert!(calls.good("p"));
}

#[test]
fn two_tokens_that_have_ended_are_followed_by_a_third() {
    for changes in [false, true] {
        let mut calls = Calls::new(true, token("t"));
        assert!(calls.good("p"));
        if changes {
            calls.ledger.reset();
        }
        calls.ledger.publish(token("u"), calls.now);
        calls.now += SPREADS;
        if !changes {
            assert_eq!(calls.bad("never-good", none), 2);
            assert_eq!(calls.ledger.want(), None);
        }
        assert_eq!(calls.bad("p", none), 2);
        assert_eq!(calls.ledger.want(), Some(Want::Now));
        calls.ledger.publish(token("v"), calls.now);
        assert!(calls.good("q"));
    }
}

#[test]
fn a_token_that_is_not_known_everywhere_yet_is_given_time() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("p"));
    for trouble in [None, Some(refusal())] {
        calls.ledger.publish(token("u"), calls.now);
        if let Some(trouble) = trouble {
            calls.ledger.fail(Arc::new(trouble));
        }
        assert_eq!(calls.bad("p", none), 2);
        assert_eq!(calls.ledger.want(), None);
        assert_eq!(calls.lease("p", None).unwrap().number(), 2);
    }
}

#[test]
fn a_token_that_is_no_longer_used_is_not_renewed() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("p"));
    let old = calls.lease("p", None).unwrap();
    calls.ledger.publish(token("u"), calls.now);
    let new = calls.lease("p", None).unwrap();
    calls.now += SPREADS;
    assert_eq!(calls.refuse("p", &new, None), Verdict::Change);
    assert!(calls.good("q"));
    assert_eq!(calls.refuse("p", &old, changing(&new)), Verdict::Fail);
    assert_eq!(calls.ledger.want(), None);
}

#[test]
fn a_refusal_from_before_a_change_costs_no_token() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("p"));
    let lease = calls.lease("p", None).unwrap();
    assert!(matches!(calls.refuse("p", &lease, None), Verdict::ChangeAfter(_)));
    calls.ledger.reset();
    calls.ledger.fail(Arc::new(refusal()));
    assert!(calls.good("p"));
}

#[test]
fn no_project_waits_because_iam_refuses() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("known"));
    calls.ledger.fail(Arc::new(refusal()));
    assert_eq!(calls.bad("good", none), 2);
    calls.ledger.publish(token("u"), calls.now);
    assert!(calls.good("good"));
}

#[test]
fn two_tokens_that_both_sides_refuse_are_gone() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("p"));
    calls.ledger.publish(token("u"), calls.now);
    calls.now += SPREADS;
    calls.ledger.fail(Arc::new(refusal()));
    for expected in [Readiness::Ready, Readiness::Rejected] {
        assert_eq!(calls.bad("p", none), 2);
        assert_eq!(calls.ledger.readiness(calls.now), expected);
    }
}

#[test]
fn a_next_token_that_both_sides_refuse_leaves_the_one_before() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("p"));
    let old = calls.lease("p", None).unwrap();
    calls.ledger.publish(token("u"), calls.now);
    calls.now += SPREADS;
    assert_eq!(calls.refuse("p", &old, None), Verdict::Change);
    let next = calls.lease("p", changing(&old)).unwrap();
    assert_eq!(calls.refuse("p", &next, changing(&old)), Verdict::Fail);
    calls.ledger.fail(Arc::new(refusal()));
    assert!(matches!(calls.ledger.choose("p", None, calls.now), Choice::Use(it) if it.is(&old)));
}

#[test]
fn a_token_that_others_are_taken_with_stays_whatever_iam_says() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("good") && calls.good("p"));
    calls.ledger.fail(Arc::new(refusal()));
    let (lease, sent) = (calls.lease("p", None).unwrap(), calls.now);
    assert_eq!(calls.refuse("p", &lease, None), Verdict::Repeat);
    assert!(calls.good("good"));
    let before = Some(repeating(&lease));
    let verdict = calls.ledger.refused(&lease, "p", sent, &refusal(), before, calls.now);
    assert_eq!(verdict, Verdict::Fail);
    assert!(calls.good("good"));
}

#[test]
fn a_token_that_iam_gives_again_and_again_stays() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("p"));
    for _ in 0..10 {
        assert_eq!(calls.bad("p", |ledger, now| ledger.publish(token("t"), now)), 2);
    }
    assert!(calls.good("p"));
}

#[test]
fn two_keys_that_are_refused_are_not_followed_by_a_third_at_once() {
    let mut calls = Calls::new(true, key("A"));
    assert!(calls.good("p"));
    calls.ledger.publish(key("B"), calls.now);
    calls.now += SPREADS;
    assert_eq!(calls.bad("p", none), 2);
    assert_eq!(calls.ledger.want(), Some(Want::Later));
}

#[test]
fn what_iam_has_refused_is_not_tried_again_because_of_a_refusal() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("good"));
    calls.ledger.fail(Arc::new(refusal()));
    for number in 0..100 {
        assert_eq!(calls.bad(&format!("bad{number}"), none), 2);
    }
    assert!(calls.good("good"));
    assert_eq!(calls.ledger.want(), None);
    calls.ledger.publish(token("u"), calls.now);
    assert!(calls.good("good"));
    assert_eq!(calls.bad("bad", |ledger, now| ledger.publish(token("v"), now)), 2);
}

#[test]
fn a_project_that_both_sides_refuse_takes_nothing_from_others() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("good"));
    assert_eq!(calls.bad("bad", |ledger, _| ledger.fail(Arc::new(refusal()))), 1);
    assert!(calls.good("good"));
    assert_eq!(calls.bad("bad", none), 2);
    assert!(calls.good("good"));
}

#[test]
fn a_token_that_was_never_good_is_gone_when_both_sides_refuse() {
    let mut calls = Calls::new(true, token("t"));
    assert_eq!(calls.bad("p", |ledger, _| ledger.fail(Arc::new(refusal()))), 1);
    assert_eq!(calls.ledger.readiness(calls.now), Readiness::Rejected);
    assert_eq!(calls.bad("q", none), 0);
}

#[test]
fn who_is_refused_while_iam_is_away_is_told_so() {
    let mut calls = Calls::new(true, token("t"));
    assert!(calls.good("p"));
    let lease = calls.lease("p", None).unwrap();
    assert!(matches!(calls.refuse("p", &lease, None), Verdict::ChangeAfter(_)));
    let kind = ErrorKind::GatewayCredentialsUnavailable;
    calls.ledger.fail(Arc::new(unavailable()));
    let choice = calls.ledger.choose("p", Some(changing(&lease)), calls.now);
    assert!(matches!(choice, Choice::Fail(error) if error.kind == kind));
    assert!(calls.good("p"), "others may find it good");
}

#[test]
fn what_others_are_told_has_nothing_of_the_answer() {
    let mut calls = Calls::new(false, key("AK"));
    let answer = crate::upstream::Answer { http_status: 401, ..Default::default() };
    let error = FetchError { answer: Some(answer), ..refusal() };
    let lease = calls.lease("p", None).unwrap();
    calls.ledger.refused(&lease, "p", calls.now, &error, None, calls.now);
    match calls.ledger.choose("p", None, calls.now) {
        Choice::Fail(error) => assert_eq!(error.answer, None),
        _ => panic!("the project is held"),
    }
}
