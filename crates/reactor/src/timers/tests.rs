//! The timer heap under a virtual clock.

use std::cell::Cell;
use std::rc::Rc;

use super::*;

type Flag = Rc<Cell<bool>>;

fn dead(flag: &Flag) -> bool {
    flag.get()
}

fn cancel(timers: &mut Timers<Flag>, id: TimerId, flag: &Flag) {
    flag.set(true);
    drop(timers.cancelled(id, dead));
}

fn fire_all<T>(timers: &mut Timers<T>, now: i64) -> Vec<T> {
    std::iter::from_fn(|| timers.pop_due(now)).collect()
}

/// A small deterministic generator: the order of insertions must not matter.
fn scrambled(count: i64) -> impl Iterator<Item = i64> {
    (0..count).map(|n| n * 2_654_435_761 % 1_000)
}

#[test]
fn timers_fire_in_order_of_their_deadlines() {
    let mut timers = Timers::default();
    for deadline in scrambled(500) {
        timers.insert(deadline, deadline);
    }
    let fired = fire_all(&mut timers, 1_000);
    assert_eq!(fired.len(), 500);
    assert!(fired.is_sorted());
}

#[test]
fn timers_with_one_deadline_fire_in_the_order_they_were_set() {
    let mut timers = Timers::default();
    for n in 0..100 {
        timers.insert(7, n);
    }
    assert_eq!(fire_all(&mut timers, 7), (0..100).collect::<Vec<_>>());
}

#[test]
fn no_timer_fires_before_its_deadline() {
    let mut timers = Timers::default();
    timers.insert(10, ());
    assert_eq!(timers.pop_due(9), None);
    assert_eq!(timers.pop_due(10), Some(()));
    assert_eq!(timers.next_deadline(), None);
}

#[test]
fn cancelling_the_newest_timer_frees_it_at_once() {
    let mut timers = Timers::default();
    for n in 0..100_000 {
        let flag = Flag::default();
        let id = timers.insert(n, flag.clone());
        cancel(&mut timers, id, &flag);
        assert_eq!(timers.len(), 0);
        assert_eq!(Rc::strong_count(&flag), 1);
    }
}

#[test]
fn cancelled_timers_never_outnumber_the_living_by_more_than_the_floor() {
    let mut timers = Timers::default();
    let mut set = Vec::new();
    for deadline in scrambled(10_000) {
        let flag = Flag::default();
        set.push((timers.insert(deadline, flag.clone()), flag));
    }
    for (alive, (id, flag)) in set.iter().enumerate().map(|(done, timer)| (9_999 - done, timer)) {
        cancel(&mut timers, *id, flag);
        assert!(timers.len() <= 2 * alive + SWEEP_FLOOR + 1, "{} for {alive}", timers.len());
    }
}

#[test]
fn a_sweep_keeps_the_living_in_order() {
    let mut timers = Timers::default();
    let mut set = Vec::new();
    for deadline in scrambled(1_000) {
        let flag = Flag::default();
        set.push((deadline, timers.insert(deadline, flag.clone()), flag));
    }
    for (_, id, flag) in set.iter().skip(100) {
        cancel(&mut timers, *id, flag);
    }
    let mut expected: Vec<_> = set.iter().take(100).map(|(deadline, ..)| *deadline).collect();
    expected.sort_unstable();
    let mut fired = Vec::new();
    for now in 0..1_000 {
        while let Some(flag) = timers.pop_due(now) {
            if flag.get() {
                timers.popped_dead();
            } else {
                fired.push(now);
            }
        }
    }
    assert_eq!(fired, expected);
}

#[test]
fn a_dead_timer_that_reached_the_top_is_counted_once() {
    let mut timers = Timers::default();
    let first = Flag::default();
    let id = timers.insert(1, first.clone());
    timers.insert(2, Flag::default());
    cancel(&mut timers, id, &first);
    assert!(timers.pop_due(1).is_some_and(|flag| flag.get()));
    timers.popped_dead();
    assert_eq!(timers.dead, 0);
    assert_eq!(timers.len(), 1);
}
