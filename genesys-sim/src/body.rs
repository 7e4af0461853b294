//! The body of an answer: all of it, or half of what its head promised.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A body whose `Content-Length` is always that of the whole.
pub(crate) struct AnswerBody {
    data: Option<Bytes>,
    length: u64,
    cut: Option<Cut>,
}

/// How far a cut body has come.
enum Cut {
    Sending,
    Flushing,
}

impl AnswerBody {
    /// All of `data`.
    pub(crate) fn whole(data: Bytes) -> Self {
        Self {
            length: data.len() as u64,
            data: Some(data).filter(|data| !data.is_empty()),
            cut: None,
        }
    }

    /// The first half of `data`, and then the end of the connection.
    pub(crate) fn half(data: Bytes) -> Self {
        Self {
            length: data.len() as u64,
            data: Some(data.slice(..data.len() / 2)),
            cut: Some(Cut::Sending),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.cut {
            None => Poll::Ready(None),
            // hyper flushes when a body is not ready, and only then may the connection break.
            Some(Cut::Sending) => {
                self.cut = Some(Cut::Flushing);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Cut::Flushing) => Poll::Ready(Some(Err(io::Error::other("cut on request")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
