//! Supervision of real processes: shells that stand in for workers.
#![allow(clippy::expect_used, clippy::panic)] // a broken expectation is how a test fails

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};
use std::{env, fs, io, process, thread};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, test_kill_process};
use weft_supervisor::Error;
use weft_supervisor::policy::Level;
use weft_supervisor::supervise::{Host, supervise};
use weft_supervisor::worker::Launch;

/// What a well-behaved worker does when its script has set the trap: be marked ready, and wait.
const SERVE: &str = "touch $1/ready-$$; while :; do sleep 0.01; done";

/// Called after each start with the number of workers started so far, and the folder.
type OnStart = Box<dyn FnMut(usize, &Path)>;

/// Starts `/bin/sh -c script` for each worker, and remembers what happened.
///
/// The scripts find a folder of their own in `$1`; `SERVE` in them stands for the words above.
struct Shells {
    script: String,
    folder: PathBuf,
    started: Vec<u32>,
    log: Vec<String>,
    on_start: OnStart,
}

impl Shells {
    fn new(name: &str, script: &str) -> Self {
        let folder = env::temp_dir().join(format!("weft-{}-{name}", process::id()));
        fs::create_dir_all(&folder).expect("a new folder");
        Self {
            script: script.replace("SERVE", SERVE),
            folder,
            started: Vec::new(),
            log: Vec::new(),
            on_start: Box::new(|_, _| {}),
        }
    }

    /// Reports the signals as soon as so many workers were started and `ready` of them are.
    fn signal_when(
        mut self,
        count: usize,
        ready: usize,
        pipe: OwnedFd,
        signals: &'static [Signal],
    ) -> Self {
        self.on_start = Box::new(move |started, folder| {
            if started == count {
                wait_for_marks(folder, ready);
                for signal in signals {
                    report(&pipe, *signal).expect("the pipe has room");
                }
            }
        });
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

impl Drop for Shells {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Host for Shells {
    fn spawn(&mut self, slot: usize) -> io::Result<Child> {
        let folder = self.folder.clone().into_os_string();
        let arguments = vec!["-c".into(), self.script.clone().into(), "sh".into(), folder];
        let launch = Launch { program: "/bin/sh".into(), arguments, sockets: vec![7] };
        let child = launch.spawn(slot)?;
        self.started.push(child.id());
        (self.on_start)(self.started.len(), &self.folder);
        Ok(child)
    }

    fn log(&mut self, _: Level, message: &str) {
        self.log.push(message.to_owned());
    }
}

fn wait_for_marks(folder: &Path, count: usize) {
    let began = Instant::now();
    while fs::read_dir(folder).expect("it is there").count() < count {
        assert!(began.elapsed() < Duration::from_secs(10), "the workers do not get ready");
        thread::sleep(Duration::from_millis(2));
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
const WELL_BEHAVED: &str = "trap 'exit 0' TERM; SERVE";
/// A worker that does not.
const DEAF: &str = "trap '' TERM; SERVE";

#[test]
fn workers_are_stopped_and_reaped() {
    let (reading, writing) = signals();
    let mut shells = Shells::new("stop", WELL_BEHAVED).signal_when(3, 3, writing, &[Signal::TERM]);
    assert_eq!(supervise(3, None, &reading, &mut shells), Ok(0));
    assert_eq!(shells.started.len(), 3);
    shells.assert_no_worker_is_left();
    let started = format!("Started worker [{}]", shells.started[0]);
    assert!(shells.log.contains(&started), "{:?}", shells.log);
}

#[test]
fn a_killed_worker_is_replaced() {
    let (reading, writing) = signals();
    // The first worker leaves a mark and kills itself, the others behave.
    let script = "mkdir $1/died 2>/dev/null && kill -9 $$; trap 'exit 0' TERM; SERVE";
    let mut shells = Shells::new("replace", script).signal_when(3, 3, writing, &[Signal::INT]);
    assert_eq!(supervise(2, None, &reading, &mut shells), Ok(0));
    assert_eq!(shells.started.len(), 3);
    shells.assert_no_worker_is_left();
    assert!(shells.log.iter().any(|line| line.contains("died: killed by SIGKILL")));
}

#[test]
fn a_worker_that_fails_to_start_stops_the_others() {
    let (reading, _writing) = signals();
    let script = "case $WEFT_WORKER in *slot=1*) exit 3;; esac; trap 'exit 0' TERM; SERVE";
    let mut shells = Shells::new("fail", script);
    assert_eq!(supervise(2, None, &reading, &mut shells), Ok(3));
    assert_eq!(shells.started.len(), 2, "nothing was restarted");
    shells.assert_no_worker_is_left();
}

#[test]
fn a_second_signal_kills_deaf_workers() {
    let (reading, writing) = signals();
    let twice = &[Signal::INT, Signal::INT];
    let mut shells = Shells::new("deaf", DEAF).signal_when(2, 2, writing, twice);
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
    let mut shells = Shells::new("break", DEAF);
    shells.on_start = Box::new(move |_, _| drop(writing.take()));
    let outcome = supervise(1, None, &reading, &mut shells);
    assert_eq!(outcome, Err(Error::OsSupervise("the signal pipe was closed".to_owned())));
    shells.assert_no_worker_is_left();
}

#[test]
fn a_worker_has_no_input_and_a_group_of_its_own() {
    let (reading, _writing) = signals();
    let mut shells = Shells::new(
        "alone",
        "read line && exit 1; \
         test $(cut -d' ' -f5 /proc/$$/stat) = $$ || exit 1; \
         exit 3",
    );
    assert_eq!(supervise(1, None, &reading, &mut shells), Ok(3));
}
