//! Supervision of real processes: shells that stand in for workers.
#![allow(clippy::expect_used, clippy::panic)] // a broken expectation is how a test fails

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, test_kill_process};
use weft_supervisor::Error;
use weft_supervisor::policy::Level;
use weft_supervisor::supervise::{Host, supervise};
use weft_supervisor::worker::Launch;

/// Starts `/bin/sh -c script` for each worker, and remembers what happened.
struct Shells {
    script: &'static str,
    started: Vec<u32>,
    log: Vec<String>,
    on_start: Box<dyn FnMut(usize)>,
}

impl Shells {
    fn new(script: &'static str) -> Self {
        Self { script, started: Vec::new(), log: Vec::new(), on_start: Box::new(|_| {}) }
    }

    /// Calls `then` with the number of workers started so far, after each.
    fn on_start(mut self, then: impl FnMut(usize) + 'static) -> Self {
        self.on_start = Box::new(then);
        self
    }

    #[track_caller]
    fn assert_no_worker_is_left(&self) {
        for pid in &self.started {
            let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw).expect("a pid");
            assert!(test_kill_process(pid).is_err(), "{pid:?} is running or a zombie");
        }
    }
}

impl Host for Shells {
    fn spawn(&mut self, slot: usize) -> io::Result<Child> {
        let arguments = ["-c", self.script].map(OsString::from).to_vec();
        let launch = Launch { program: "/bin/sh".into(), arguments, sockets: vec![7] };
        let child = launch.spawn(slot)?;
        self.started.push(child.id());
        (self.on_start)(self.started.len());
        Ok(child)
    }

    fn log(&mut self, _: Level, message: &str) {
        self.log.push(message.to_owned());
    }
}

/// A signal pipe, and a ticking substitute for SIGCHLD: what a real one would do, without
/// touching the signal handlers of the test process.
fn signals() -> (OwnedFd, OwnedFd) {
    let (reading, writing) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
    let ticking = writing.try_clone().expect("a descriptor");
    thread::spawn(move || {
        while report(&ticking, Signal::CHILD).is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
    });
    (reading, writing)
}

fn report(pipe: &OwnedFd, signal: Signal) -> rustix::io::Result<usize> {
    let number = u8::try_from(signal.as_raw()).expect("signal numbers are small");
    rustix::io::write(pipe, &[number])
}

/// A worker that ends well when asked.
const WELL_BEHAVED: &str = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
/// A worker that does not.
const DEAF: &str = "trap '' TERM; while :; do sleep 0.01; done";

#[test]
fn workers_are_stopped_and_reaped() {
    let (reading, writing) = signals();
    let mut shells = Shells::new(WELL_BEHAVED).on_start(move |count| {
        if count == 3 {
            // Time to set the trap; a worker without it would die of the signal, which is fine.
            thread::sleep(Duration::from_millis(100));
            report(&writing, Signal::TERM).expect("the pipe has room");
        }
    });
    assert_eq!(supervise(3, None, &reading, &mut shells), Ok(0));
    assert_eq!(shells.started.len(), 3);
    shells.assert_no_worker_is_left();
    let started = format!("Started worker [{}]", shells.started[0]);
    assert!(shells.log.contains(&started), "{:?}", shells.log);
}

#[test]
fn a_killed_worker_is_replaced() {
    let (reading, writing) = signals();
    let mut shells = Shells::new(
        // The first worker kills itself, its replacement behaves.
        "test -n \"$(echo $WEFT_WORKER | grep slot=0)\" && \
         test ! -e /tmp/weft-$PPID-died && touch /tmp/weft-$PPID-died && kill -9 $$; \
         trap 'exit 0' TERM; while :; do sleep 0.01; done",
    )
    .on_start(move |count| {
        if count == 3 {
            thread::sleep(Duration::from_millis(100));
            report(&writing, Signal::INT).expect("the pipe has room");
        }
    });
    assert_eq!(supervise(2, None, &reading, &mut shells), Ok(0));
    let mark = format!("/tmp/weft-{}-died", std::process::id());
    std::fs::remove_file(mark).expect("the first worker left it");
    assert_eq!(shells.started.len(), 3);
    shells.assert_no_worker_is_left();
    assert!(shells.log.iter().any(|line| line.contains("died: killed by SIGKILL")));
}

#[test]
fn a_worker_that_fails_to_start_stops_the_others() {
    let (reading, _writing) = signals();
    let mut shells = Shells::new(
        "case $WEFT_WORKER in *slot=1*) exit 3;; esac; \
         trap 'exit 0' TERM; while :; do sleep 0.01; done",
    );
    assert_eq!(supervise(2, None, &reading, &mut shells), Ok(3));
    assert_eq!(shells.started.len(), 2, "nothing was restarted");
    shells.assert_no_worker_is_left();
}

#[test]
fn a_second_signal_kills_deaf_workers() {
    let (reading, writing) = signals();
    let mut shells = Shells::new(DEAF).on_start(move |count| {
        if count == 2 {
            thread::sleep(Duration::from_millis(100));
            report(&writing, Signal::INT).expect("the pipe has room");
            report(&writing, Signal::INT).expect("the pipe has room");
        }
    });
    let began = Instant::now();
    assert_eq!(supervise(2, None, &reading, &mut shells), Ok(1));
    assert!(began.elapsed() < Duration::from_secs(5));
    shells.assert_no_worker_is_left();
}

#[test]
fn a_program_that_is_not_there_is_a_failed_start() {
    struct Nobody(Vec<String>);
    impl Host for Nobody {
        fn spawn(&mut self, slot: usize) -> io::Result<Child> {
            let program = "/no/such/python".into();
            Launch { program, arguments: Vec::new(), sockets: vec![7] }.spawn(slot)
        }
        fn log(&mut self, _: Level, message: &str) {
            self.0.push(message.to_owned());
        }
    }
    let (reading, _writing) = signals();
    let mut nobody = Nobody(Vec::new());
    assert_eq!(supervise(2, None, &reading, &mut nobody), Ok(3));
    assert!(nobody.0[0].starts_with("Cannot start a worker: "), "{:?}", nobody.0);
}

#[test]
fn no_worker_outlives_a_supervisor_that_breaks() {
    let (reading, writing) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
    let mut writing = Some(writing);
    let mut shells = Shells::new(DEAF).on_start(move |_| drop(writing.take()));
    let outcome = supervise(1, None, &reading, &mut shells);
    assert_eq!(outcome, Err(Error::OsSupervise("the signal pipe was closed".to_owned())));
    shells.assert_no_worker_is_left();
}

#[test]
fn a_worker_has_no_input_and_a_group_of_its_own() {
    let (reading, _writing) = signals();
    let mut shells = Shells::new(
        "read line && exit 1; \
         test $(ps -o pgid= -p $$) = $$ || exit 1; \
         exit 3",
    );
    assert_eq!(supervise(1, None, &reading, &mut shells), Ok(3));
}
