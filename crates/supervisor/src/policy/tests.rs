//! The rules, step by step, without processes or clocks.

use std::time::Duration;

use super::{
    Action, Ending, Event, FIRST_DELAY, KILL_MARGIN, LONGEST_DELAY, Level, Policy, STABLE, delay,
};

const CRASH: Ending = Ending::Signal(11);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The actions without the messages.
fn deeds(actions: Vec<Action>) -> Vec<Action> {
    actions.into_iter().filter(|action| !matches!(action, Action::Log(..))).collect()
}

fn messages(actions: &[Action]) -> Vec<&str> {
    let log = actions.iter().filter_map(|action| match action {
        Action::Log(_, text) => Some(text.as_str()),
        _ => None,
    });
    log.collect()
}

/// A supervisor whose workers all run, with pids 100, 101, …
fn running(workers: usize, limit: Option<Duration>) -> Policy {
    let mut policy = Policy::new(workers, limit);
    assert_eq!(policy.step(Event::Start, at(0)).len(), workers);
    for slot in 0..workers {
        spawned(&mut policy, slot, at(0));
    }
    policy
}

fn spawned(policy: &mut Policy, slot: usize, now: Duration) -> Vec<Action> {
    let pid = 100 + u32::try_from(slot).unwrap_or_default();
    policy.step(Event::Spawned { slot, pid }, now)
}

fn ended(policy: &mut Policy, slot: usize, ending: Ending, now: Duration) -> Vec<Action> {
    policy.step(Event::Ended { slot, ending }, now)
}

#[test]
fn the_start_spawns_every_worker_and_names_it() {
    let mut policy = Policy::new(2, None);
    assert_eq!(policy.step(Event::Start, at(0)), [Action::Spawn(0), Action::Spawn(1)]);
    let actions = spawned(&mut policy, 1, at(0));
    assert_eq!(actions, [Action::Log(Level::Info, "Started worker [101]".to_owned())]);
    assert_eq!(policy.deadline(), None);
}

#[test]
fn a_dead_worker_is_replaced_at_once() {
    let mut policy = running(2, None);
    let actions = ended(&mut policy, 1, Ending::Signal(9), at(3));
    assert_eq!(messages(&actions), ["Worker [101] died: killed by SIGKILL (out of memory?)"]);
    assert_eq!(deeds(actions), [Action::Spawn(1)]);
}

#[test]
fn quick_deaths_in_a_row_wait_longer_and_longer() {
    let delays: Vec<Duration> = (0..9).map(delay).collect();
    assert_eq!(delays[..3], [Duration::ZERO, Duration::ZERO, FIRST_DELAY]);
    assert_eq!(delays[3..6], [FIRST_DELAY * 2, FIRST_DELAY * 4, FIRST_DELAY * 8]);
    assert_eq!(delays[7..], [LONGEST_DELAY, LONGEST_DELAY]);
    assert_eq!(delay(u32::MAX), LONGEST_DELAY);

    let mut policy = running(1, None);
    assert_eq!(deeds(ended(&mut policy, 0, CRASH, at(1))), [Action::Spawn(0)]);
    spawned(&mut policy, 0, at(1));
    assert_eq!(deeds(ended(&mut policy, 0, CRASH, at(2))), []);
    assert_eq!(policy.deadline(), Some(at(2) + FIRST_DELAY));
    assert_eq!(policy.step(Event::Tick, at(2)), []);
    assert_eq!(policy.step(Event::Tick, at(2) + FIRST_DELAY), [Action::Spawn(0)]);
    assert_eq!(policy.deadline(), None);
}

#[test]
fn a_worker_that_was_well_clears_the_count() {
    let mut policy = running(1, None);
    for _ in 0..3 {
        let now = at(1);
        ended(&mut policy, 0, CRASH, now);
        policy.step(Event::Tick, now + LONGEST_DELAY);
        spawned(&mut policy, 0, now);
    }
    assert_eq!(deeds(ended(&mut policy, 0, CRASH, at(1) + STABLE)), [Action::Spawn(0)]);
}

#[test]
fn a_worker_that_ends_well_unasked_is_replaced_too() {
    let mut policy = running(1, None);
    assert_eq!(deeds(ended(&mut policy, 0, Ending::Code(0), at(60))), [Action::Spawn(0)]);
}

#[test]
fn a_failed_start_stops_everything_with_its_code() {
    let mut policy = running(2, None);
    let actions = ended(&mut policy, 0, Ending::Code(3), at(1));
    assert!(messages(&actions)[0].starts_with("Worker [100] failed to start"));
    assert_eq!(deeds(actions), [Action::Terminate(1)]);
    assert_eq!(ended(&mut policy, 1, Ending::Code(0), at(2)), [Action::Finish(3)]);
}

#[test]
fn the_first_stop_asks_and_the_last_end_finishes() {
    let mut policy = running(2, None);
    let actions = policy.step(Event::Stop("SIGTERM"), at(5));
    assert_eq!(messages(&actions), ["Received SIGTERM, stopping."]);
    assert_eq!(deeds(actions), [Action::Terminate(0), Action::Terminate(1)]);
    assert_eq!(policy.deadline(), None, "no limit, no kill");
    assert_eq!(ended(&mut policy, 1, Ending::Code(0), at(6)), []);
    assert_eq!(ended(&mut policy, 0, Ending::Signal(15), at(7)), [Action::Finish(0)]);
    assert_eq!(policy.step(Event::Stop("SIGINT"), at(8)), []);
}

#[test]
fn a_second_stop_kills_and_is_no_clean_end() {
    let mut policy = running(2, None);
    policy.step(Event::Stop("SIGINT"), at(5));
    ended(&mut policy, 0, Ending::Code(0), at(5));
    let actions = policy.step(Event::Stop("SIGINT"), at(6));
    assert_eq!(messages(&actions), ["Received SIGINT again, killing the workers."]);
    assert_eq!(deeds(actions), [Action::Kill(1)]);
    assert_eq!(policy.step(Event::Stop("SIGINT"), at(6)), [], "killed is killed");
    assert_eq!(ended(&mut policy, 1, Ending::Signal(9), at(6)), [Action::Finish(1)]);
}

#[test]
fn workers_that_overstay_the_limit_are_killed() {
    let mut policy = running(1, Some(at(30)));
    policy.step(Event::Stop("SIGTERM"), at(100));
    let late = at(130) + KILL_MARGIN;
    assert_eq!(policy.deadline(), Some(late));
    assert_eq!(policy.step(Event::Tick, late - Duration::from_millis(1)), []);
    assert_eq!(deeds(policy.step(Event::Tick, late)), [Action::Kill(0)]);
    assert_eq!(policy.deadline(), None);
    assert_eq!(ended(&mut policy, 0, Ending::Signal(9), late), [Action::Finish(1)]);
}

#[test]
fn a_stop_while_a_restart_waits_does_not_restart() {
    let mut policy = running(1, None);
    ended(&mut policy, 0, CRASH, at(1));
    spawned(&mut policy, 0, at(1));
    ended(&mut policy, 0, CRASH, at(1));
    assert!(policy.deadline().is_some());
    assert_eq!(deeds(policy.step(Event::Stop("SIGTERM"), at(1))), [Action::Finish(0)]);
    assert_eq!(policy.deadline(), None);
}

#[test]
fn a_worker_created_while_stopping_is_stopped_too() {
    let mut policy = Policy::new(2, None);
    policy.step(Event::Start, at(0));
    spawned(&mut policy, 0, at(0));
    assert_eq!(deeds(policy.step(Event::Stop("SIGTERM"), at(0))), [Action::Terminate(0)]);
    assert_eq!(ended(&mut policy, 0, Ending::Code(0), at(0)), [], "one is still being created");
    assert_eq!(spawned(&mut policy, 1, at(0)), [Action::Terminate(1)]);
    assert_eq!(ended(&mut policy, 1, Ending::Code(0), at(0)), [Action::Finish(0)]);
}

#[test]
fn a_first_worker_that_cannot_be_created_stops_everything() {
    let mut policy = Policy::new(2, None);
    policy.step(Event::Start, at(0));
    let refused = |slot| Event::NotSpawned { slot, reason: "no memory".to_owned() };
    let actions = policy.step(refused(0), at(0));
    assert_eq!(messages(&actions), ["Cannot start a worker: no memory. Stopping."]);
    assert_eq!(deeds(actions), [], "the second one is still being created");
    assert_eq!(policy.step(refused(1), at(0)), [Action::Finish(3)]);
}

#[test]
fn a_replacement_that_cannot_be_created_is_tried_again() {
    let mut policy = running(1, None);
    ended(&mut policy, 0, CRASH, at(60));
    let refused = Event::NotSpawned { slot: 0, reason: "no memory".to_owned() };
    assert_eq!(deeds(policy.step(refused, at(60))), []);
    assert_eq!(policy.deadline(), Some(at(60) + FIRST_DELAY));
}

#[test]
fn reports_about_unknown_slots_change_nothing() {
    let mut policy = running(1, None);
    assert_eq!(spawned(&mut policy, 7, at(0)), []);
    assert_eq!(ended(&mut policy, 7, CRASH, at(0)), []);
    policy.step(Event::Stop("SIGTERM"), at(0));
    assert_eq!(ended(&mut policy, 0, Ending::Code(0), at(0)), [Action::Finish(0)]);
    assert_eq!(ended(&mut policy, 0, Ending::Code(0), at(0)), [], "an end is reported once");
}
