//! ipc-channel, bytes. One sender here, one receiver: its receivers cannot be shared.

use super::{meeting_point, until};
use crate::flows::{Transport, sum};
use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender};
use std::{fs, ops::Range};

pub struct IpcChannel<const W: usize>;

/// The sum of a message of bytes. Allocators align what ipc-channel received; if not, it is copied.
fn sum_bytes(message: &[u8]) -> u64 {
    // SAFETY: any bytes are words.
    match unsafe { message.align_to::<u64>() } {
        ([], words, []) => sum(words),
        _ => {
            let words = message.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes")));
            sum(&words.collect::<Vec<u64>>())
        }
    }
}

impl<const W: usize> Transport for IpcChannel<W> {
    const WORDS: usize = W;
    type Host = ();
    type Sender = IpcBytesSender;
    type Receiver = IpcBytesReceiver;

    fn create(_: &str, _: usize) {}

    /// Finds the receiver's one-shot server by a file with its name, and sends it the other end.
    fn sender(name: &str) -> IpcBytesSender {
        let path = meeting_point(name);
        let server = until("the receiver's coming", || fs::read_to_string(&path).ok().filter(|name| name.ends_with('\n')));
        fs::remove_file(&path).expect("remove the file with the server's name");
        let (sender, receiver) = ipc::bytes_channel().expect("make a channel");
        let introduce = IpcSender::<IpcBytesReceiver>::connect(server.trim().to_owned()).expect("connect");
        introduce.send(receiver).expect("send the receiving end");
        sender
    }

    fn receiver(name: &str) -> IpcBytesReceiver {
        let (server, server_name) = IpcOneShotServer::<IpcBytesReceiver>::new().expect("make a server");
        fs::write(meeting_point(name), format!("{server_name}\n")).expect("write the server's name");
        server.accept().expect("accept").1
    }

    fn send(sender: &IpcBytesSender, stamps: Range<u64>) {
        let mut message = vec![0; W];
        for stamp in stamps {
            message.fill(stamp);
            sender.send(super::bytes::as_bytes(&message)).expect("send");
        }
    }

    fn receive(receiver: &IpcBytesReceiver, count: u64) -> u64 {
        let mut total = 0_u64;
        for _ in 0..count {
            let message = receiver.recv().expect("receive");
            assert_eq!(message.len(), W * 8);
            total = total.wrapping_add(sum_bytes(&message));
        }
        total
    }
}
