//! Handles that are sent: a queue, or a topic, serialises as its address and the nonce of its
//! segment, and a ticket, by which the handle counts until it has arrived (`raw/roles/transit.rs`).

use super::{Buildable, Queue, Receiver, Sender};
use crate::error::OpenError;
use crate::message::Message;
use crate::raw::{ForOneReceiver, RawQueue, TransitTicket};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// Address, nonce, schema, structure, ticket.
pub(crate) type Received = (String, u64, Option<String>, Option<String>, TransitTicket);

pub(crate) fn send<S: Serializer>(
    raw: &RawQueue,
    schema: Option<&str>,
    structure: Option<&str>,
    ticket: Result<TransitTicket, ForOneReceiver>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let ticket = ticket.map_err(S::Error::custom)?;
    (raw.segment().address(), raw.segment().nonce(), schema, structure, ticket).serialize(serializer)
}

impl<T: ?Sized + Message> Serialize for Queue<T> {
    /// Name (with its directory, if that is not `/dev/shm`), nonce, and schema and structure as the
    /// builder was given them. To open it, the receiver needs a participant that still lives, or a
    /// persisted segment.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        send(&self.raw, self.schema.as_deref(), self.structure.as_deref(), self.raw.send_off_both(), serializer)
    }
}

impl<'de, T: ?Sized + Message> Deserialize<'de> for Queue<T> {
    /// Opens the queue, through the mapping that this process may have already. The error is that
    /// of [`Queue::open`], or `Replaced` if another queue has taken the name since. One of another
    /// user is refused, unless this process has opened it already by
    /// [`QueueBuilder::allow_owner`](crate::QueueBuilder::allow_owner).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, structure, ticket) = Received::deserialize(deserializer)?;
        reopen(&address, nonce, schema, structure, ticket).map_err(D::Error::custom)
    }
}

impl<T: ?Sized + Message> Serialize for Sender<T> {
    /// As that of [`Queue`]. The handle on its way is a sender of this process, as long as this
    /// process is attached, until another one has deserialised it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        send(&self.raw, self.schema.as_deref(), self.structure.as_deref(), self.raw.send_off(), serializer)
    }
}

impl<'de, T: ?Sized + Message> Deserialize<'de> for Sender<T> {
    /// As that of [`Queue`]; it arrives as a sender.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, structure, ticket) = Received::deserialize(deserializer)?;
        let raw = attach::<Queue<T>>(&address, nonce, &schema, &structure).map_err(D::Error::custom)?;
        let sender = Sender::new(Arc::clone(&raw), schema.map(Arc::from), structure.map(Arc::from));
        raw.arrived(ticket);
        Ok(sender)
    }
}

impl<T: ?Sized + Message> Serialize for Receiver<T> {
    /// As that of [`Queue`]. The handle on its way is a receiver of this process, as long as this
    /// process is attached, until another one has deserialised it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        send(&self.raw, self.schema.as_deref(), self.structure.as_deref(), self.raw.send_off(), serializer)
    }
}

impl<'de, T: ?Sized + Message> Deserialize<'de> for Receiver<T> {
    /// As that of [`Queue`]; it arrives as a receiver.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, structure, ticket) = Received::deserialize(deserializer)?;
        let raw = attach::<Queue<T>>(&address, nonce, &schema, &structure).map_err(D::Error::custom)?;
        let receiver = Receiver::new(Arc::clone(&raw), schema.map(Arc::from), structure.map(Arc::from));
        raw.arrived(ticket);
        Ok(receiver)
    }
}

/// What a handle of encoded objects serialises as: address, nonce, schema and ticket.
#[cfg(feature = "object")]
pub(crate) type Sent<'a> = (String, u64, Option<&'a str>, TransitTicket);

#[cfg(feature = "object")]
impl Queue<[u8]> {
    pub(crate) fn sent(&self) -> Result<Sent<'_>, ForOneReceiver> {
        Ok((self.raw.segment().address(), self.raw.segment().nonce(), self.schema.as_deref(), self.raw.send_off_both()?))
    }
}

impl Sender<[u8]> {
    #[cfg(feature = "object")]
    pub(crate) fn sent(&self) -> Result<Sent<'_>, ForOneReceiver> {
        Ok((self.raw.segment().address(), self.raw.segment().nonce(), self.schema.as_deref(), self.raw.send_off()?))
    }

    /// One that was sent for messages of `Q`.
    pub(crate) fn reopen<Q: Buildable>(
        address: &str,
        nonce: u64,
        schema: Option<String>,
        ticket: TransitTicket,
    ) -> Result<Sender<[u8]>, OpenError> {
        let raw = attach::<Q>(address, nonce, &schema, &None)?;
        let sender = Sender::new(Arc::clone(&raw), schema.map(Arc::from), None);
        raw.arrived(ticket);
        Ok(sender)
    }
}

impl Receiver<[u8]> {
    #[cfg(feature = "object")]
    pub(crate) fn sent(&self) -> Result<Sent<'_>, ForOneReceiver> {
        Ok((self.raw.segment().address(), self.raw.segment().nonce(), self.schema.as_deref(), self.raw.send_off()?))
    }

    /// One that was sent for messages of `Q`.
    pub(crate) fn reopen<Q: Buildable>(
        address: &str,
        nonce: u64,
        schema: Option<String>,
        ticket: TransitTicket,
    ) -> Result<Receiver<[u8]>, OpenError> {
        let raw = attach::<Q>(address, nonce, &schema, &None)?;
        let receiver = Receiver::new(Arc::clone(&raw), schema.map(Arc::from), None);
        raw.arrived(ticket);
        Ok(receiver)
    }
}

/// Attaches to the queue that a serialised handle names.
fn attach<Q: Buildable>(
    address: &str,
    nonce: u64,
    schema: &Option<String>,
    structure: &Option<String>,
) -> Result<Arc<RawQueue>, OpenError> {
    let mut expected = Q::message_type().expect(schema.clone(), structure.clone());
    expected.nonce = Some(nonce);
    RawQueue::reopen(address, &expected)
}

/// Opens the queue that a serialised handle names.
pub(crate) fn reopen<Q: Buildable>(
    address: &str,
    nonce: u64,
    schema: Option<String>,
    structure: Option<String>,
    ticket: TransitTicket,
) -> Result<Q, OpenError> {
    let raw = attach::<Q>(address, nonce, &schema, &structure)?;
    // It counts first.
    let queue = Q::over(Arc::clone(&raw), schema, structure);
    raw.arrived(ticket);
    Ok(queue)
}
