//! Packets of gossip, made by hand: protobuf, and before it the length.

/// A packet in the making.
#[derive(Debug, Default)]
pub(crate) struct Packet(Vec<u8>);

/// A control message: the number of its kind, and its fields.
pub(crate) struct Control(u64, Vec<u8>);

impl Packet {
    pub(crate) fn subscribe(mut self, topic: &str) -> Self {
        let mut subscription = vec![0x08, 1];
        field(&mut subscription, 2, topic.as_bytes());
        field(&mut self.0, 1, &subscription);
        self
    }

    pub(crate) fn publish(mut self, topic: &str, data: &[u8]) -> Self {
        let mut message = Vec::with_capacity(data.len() + topic.len() + 16);
        field(&mut message, 2, data);
        field(&mut message, 4, topic.as_bytes());
        field(&mut self.0, 2, &message);
        self
    }

    /// With an author, a number and a signature, none of which belongs there.
    pub(crate) fn publish_signed(mut self, topic: &str, data: &[u8]) -> Self {
        let mut message = Vec::new();
        field(&mut message, 1, b"somebody");
        field(&mut message, 2, data);
        field(&mut message, 3, &[0; 8]);
        field(&mut message, 4, topic.as_bytes());
        field(&mut message, 5, &[0; 64]);
        field(&mut self.0, 2, &message);
        self
    }

    pub(crate) fn control(mut self, controls: impl IntoIterator<Item = Control>) -> Self {
        let mut all = Vec::new();
        for Control(kind, fields) in controls {
            field(&mut all, kind, &fields);
        }
        field(&mut self.0, 3, &all);
        self
    }

    /// With its length.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() + 5);
        varint(&mut bytes, self.0.len() as u64);
        bytes.extend(self.0);
        bytes
    }
}

impl Control {
    pub(crate) fn ihave(topic: &str, id: &[u8]) -> Self {
        Self(1, fields(&[(1, topic.as_bytes()), (2, id)]))
    }

    pub(crate) fn iwant(id: &[u8]) -> Self {
        Self(2, fields(&[(1, id)]))
    }

    pub(crate) fn graft(topic: &str) -> Self {
        Self(3, fields(&[(1, topic.as_bytes())]))
    }

    pub(crate) fn prune(topic: &str, backoff_s: u64) -> Self {
        let mut all = fields(&[(1, topic.as_bytes())]);
        all.push(0x18);
        varint(&mut all, backoff_s);
        Self(4, all)
    }

    pub(crate) fn idontwant(id: &[u8]) -> Self {
        Self(5, fields(&[(1, id)]))
    }
}

fn fields(all: &[(u64, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    all.iter().for_each(|(number, value)| field(&mut bytes, *number, value));
    bytes
}

fn field(bytes: &mut Vec<u8>, number: u64, value: &[u8]) {
    varint(bytes, number << 3 | 2);
    varint(bytes, value.len() as u64);
    bytes.extend_from_slice(value);
}

pub(crate) fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
