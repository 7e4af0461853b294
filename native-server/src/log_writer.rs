//! Standard output for log lines, written by a thread of its own, many lines at a time: a line costs whoever
//! logs it a copy in memory. No line is dropped: who logs faster than can be written waits.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Bytes of lines that may wait to be written.
const MOST_WAITING: usize = 256 << 10;

/// How long the first line waits for others.
const GATHERING: Duration = Duration::from_millis(5);

/// Takes lines. Clones share the thread.
#[derive(Debug, Clone)]
pub struct LogWriter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// A line came while the thread had nothing to do.
    filled: Condvar,
    /// Lines were written.
    written: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    lines: Vec<u8>,
    /// Taken from the queue, and not yet written.
    is_writing: bool,
    is_idle: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogWriter {
    /// Starts the thread that writes to `out`. What cannot be written is lost.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let writer = shared.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&writer, out))?;
        Ok(Self(shared))
    }

    /// Waits until every line so far is written.
    pub fn flush(&self) {
        let queue = self.0.lock();
        let left = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        drop(self.0.written.wait_while(queue, left));
    }
}

fn write_lines(shared: &Shared, mut out: impl Write) {
    let mut batch = Vec::new();
    loop {
        let mut queue = shared.lock();
        while queue.lines.is_empty() {
            queue.is_idle = true;
            queue = shared.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.is_idle = false;
        drop(queue);
        thread::sleep(GATHERING);
        let mut queue = shared.lock();
        std::mem::swap(&mut queue.lines, &mut batch);
        queue.is_writing = true;
        drop(queue);
        let _ = out.write_all(&batch).and_then(|()| out.flush());
        batch.clear();
        shared.lock().is_writing = false;
        shared.written.notify_all();
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_full = |queue: &mut Queue| queue.lines.len() >= MOST_WAITING;
        let mut queue = self
            .0
            .written
            .wait_while(self.0.lock(), is_full)
            .unwrap_or_else(PoisonError::into_inner);
        queue.lines.extend_from_slice(line);
        let wakes = std::mem::take(&mut queue.is_idle);
        drop(queue);
        if wakes {
            self.0.filled.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Passes on what is written, waiting for room.
    struct Pipe(mpsc::SyncSender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_in_order_before_a_flush_ends() {
        let (send, receive) = mpsc::sync_channel(1000);
        let mut writer = LogWriter::start(Pipe(send)).unwrap();
        let mut expected = String::new();
        for n in 0..2000 {
            let line = format!("line {n}\n");
            writer.write_all(line.as_bytes()).unwrap();
            expected.push_str(&line);
            if n % 700 == 0 {
                LogWriter::flush(&writer);
            }
        }
        LogWriter::flush(&writer);
        let written: Vec<u8> = receive.try_iter().flatten().collect();
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    #[test]
    fn who_logs_faster_than_is_written_waits_and_loses_nothing() {
        const LINES: usize = 3000;
        let (send, receive) = mpsc::sync_channel(0);
        let mut writer = LogWriter::start(Pipe(send)).unwrap();
        let line = [b'x'; 1023];
        let logs = thread::spawn(move || {
            for _ in 0..LINES {
                writer.write_all(&line).unwrap();
                assert!(writer.0.lock().lines.len() <= MOST_WAITING + line.len());
            }
        });
        let mut read = 0;
        while read < LINES * line.len() {
            read += receive.recv().unwrap().len();
        }
        logs.join().unwrap();
        assert_eq!(read, LINES * line.len());
    }
}
