//! Who watches a job: progress on a terminal, Ctrl-C and SIGTERM.

use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hepar_model::stage::StageName;
use hepar_pipeline::{Unwatched, Watch};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::{Error, ErrorKind};
use crate::exit;

/// Signals within this time are one wish: `timeout` sends its own twice.
const ONE_WISH: Duration = Duration::from_millis(500);

/// A wish to stop that any thread may utter; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// An interrupt that Ctrl-C sets, and on Unix SIGTERM, instead of ending the program at once. A second signal does
    /// end it at once, with the exit code of an interruption: a read may block for ever.
    ///
    /// # Errors
    /// When the system refuses the handler, or there is one already.
    pub fn on_ctrl_c() -> Result<Self, ctrlc::Error> {
        let interrupt = Self::default();
        let (heard, first) = (interrupt.clone(), OnceLock::new());
        let hear = Arc::new(move || heard.hear(&first));
        ctrlc::set_handler({
            let hear = Arc::clone(&hear);
            move || hear()
        })?;
        #[cfg(unix)]
        on_sigterm(move || hear()).map_err(ctrlc::Error::System)?;
        Ok(interrupt)
    }

    /// A signal has come; `first` is when the first one came.
    fn hear(&self, first: &OnceLock<Instant>) {
        self.set();
        if first.get_or_init(Instant::now).elapsed() > ONE_WISH {
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
    }

    /// Asks to stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether someone has asked to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// Calls `hear` on a thread of its own for every SIGTERM from now on.
#[cfg(unix)]
fn on_sigterm(hear: impl Fn() + Send + 'static) -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM])?;
    let listen = move || signals.forever().for_each(|_| hear());
    std::thread::Builder::new().name("sigterm".to_owned()).spawn(listen).map(drop)
}

/// A [`Watch`] that is also told what the user should know.
pub trait Listener: Watch {
    /// Work on something that has no stages begins, as reading or writing.
    fn doing(&self, what: &str);
    /// Something is not as it should be, but the work goes on.
    fn warn(&self, warning: &dyn Display);
}

/// An interruption when the listener has called the work off.
pub(crate) fn go_on(listener: &dyn Listener) -> Result<(), Error> {
    if listener.is_cancelled() { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
}

impl Listener for Unwatched {
    fn doing(&self, _: &str) {}

    fn warn(&self, _: &dyn Display) {}
}

/// A text without what would steer a terminal: names in a scan's header are the scanner's, not ours.
pub fn printable(text: &impl Display) -> String {
    let text = text.to_string();
    let is_harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().map(|c| if is_harmless(c) { c } else { '\u{fffd}' }).collect()
}

/// Progress bars and warnings on standard error; the bars only where that is a terminal.
#[derive(Debug)]
pub struct Terminal {
    interrupt: Interrupt,
    quiet: bool,
    bar: Mutex<ProgressBar>,
}

impl Terminal {
    /// A terminal that stops when `interrupt` says so, and shows no progress when `quiet`.
    pub fn new(interrupt: Interrupt, quiet: bool) -> Self {
        Self { interrupt, quiet, bar: Mutex::new(ProgressBar::hidden()) }
    }

    /// Writes a line to standard error, above the bar if there is one.
    pub fn say(&self, line: &str) {
        // Where standard error is closed there is nobody to tell.
        self.bar().suspend(|| drop(writeln!(std::io::stderr(), "{}", printable(&line))));
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar().finish_and_clear();
    }

    fn bar(&self) -> MutexGuard<'_, ProgressBar> {
        // A bar is whole at any time, so one that a panicking thread held is as good as any.
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, length: Option<u64>, template: &str, message: String) {
        let target = if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(length, target).with_message(message);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        let mut shown = self.bar();
        shown.finish_and_clear();
        *shown = bar;
    }
}

impl Watch for Terminal {
    fn begin(&self, stage: StageName, steps: usize) {
        self.show(Some(steps as u64), "{msg:10} {bar:30} {pos}/{len}, {eta} left", stage.to_string());
    }

    fn step(&self) {
        self.bar().inc(1);
    }

    fn end(&self) {
        self.clear();
    }

    fn is_cancelled(&self) -> bool {
        self.interrupt.is_set()
    }
}

impl Listener for Terminal {
    fn doing(&self, what: &str) {
        self.show(None, "{msg} {spinner}", what.to_owned());
    }

    fn warn(&self, warning: &dyn Display) {
        self.say(&format!("hepar: warning: {warning}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_not_printed() {
        assert_eq!(printable(&"Leber\u{1b}[31m, Ärztin\r\n\tZeile"), "Leber\u{fffd}[31m, Ärztin\u{fffd}\n\tZeile");
    }
}
