//! The server side of HTTP/1.1 (RFC 9112), without a socket.
//!
//! Two machines, joined by nothing but a few facts:
//!
//! * [`RequestDecoder`], one per connection: bytes in, [`Event`]s out. It accepts only what the
//!   grammar allows, because every leniency here is somebody else's request smuggling.
//! * [`Response`], one per response: the application's status, header fields and body pieces in,
//!   bytes out. It owns framing, so that no application can desynchronise a connection.
//!
//! What is deliberately absent: deadlines, buffers, connection reuse. The driver owns the bytes
//! that are not consumed yet and decides when to give up.

mod chunked;
mod decoder;
mod error;
mod frame;
mod framing;
pub(crate) mod grammar;
mod head;
mod limits;
mod percent;
mod reply;
mod response;
pub(crate) mod response_fields;
mod scan;
mod status;
mod target;

pub use decoder::{Event, Phase, RequestDecoder, Step};
pub use error::{RequestError, ResponseError};
pub use frame::{Framing, Prefix};
pub use head::{BodyLength, Head, RequestFacts, Version};
pub use httparse::Header;
pub use limits::Limits;
pub use percent::{percent_decoded, quote_target};
pub use reply::{continue_100, error_response, refusal};
pub use response::{Defaults, Response};
pub use status::reason_phrase;
