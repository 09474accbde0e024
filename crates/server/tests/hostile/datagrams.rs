//! Datagrams a hostile or broken peer sends: noise, valid messages, and valid ones with damage.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use coap::{Code, Endpoint, OptionNumber, Request};

/// Chance that repeats itself with the same seed (`splitmix64`).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    const fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    const fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}

/// An endless supply.
pub(crate) struct Datagrams {
    random: Random,
    valid: Vec<Bytes>,
    out: Vec<u8>,
}

impl Datagrams {
    pub(crate) fn new(random: Random) -> Self {
        Self { random, valid: valid(), out: Vec::new() }
    }

    pub(crate) fn next(&mut self) -> &[u8] {
        let random = &mut self.random;
        self.out.clear();
        if random.below(8) == 0 {
            let length = random.below(300);
            self.out.extend((0..length).map(|_| random.byte()));
            return &self.out;
        }
        self.out.extend_from_slice(&self.valid[random.below(self.valid.len())]);
        // Another message identifier, or most would be duplicates and met at the door.
        if self.out.len() >= 4 {
            self.out[2] = random.byte();
            self.out[3] = random.byte();
        }
        // Another name: more of them than the server takes at the same time.
        if let Some(at) = self.out.windows(5).position(|part| part == b"evil-") {
            let digits = self.out[at + 5..].iter_mut().take(3);
            digits.for_each(|digit| *digit = b"0123456789abcdef"[random.below(16)]);
        }
        for _ in 0..random.below(4) {
            damage(&mut self.out, &self.valid, random);
        }
        &self.out
    }
}

fn damage(out: &mut Vec<u8>, valid: &[Bytes], random: &mut Random) {
    let Some(last) = out.len().checked_sub(1) else { return };
    let at = random.below(out.len());
    match random.below(7) {
        0 => out[at] ^= 1 << random.below(8),
        1 => out[at] = random.byte(),
        2 => out.truncate(at),
        3 => out.insert(at, random.byte()),
        4 => drop(out.remove(at)),
        // Kind, code and token length.
        5 => out[last.min(1)] = random.byte(),
        _ => {
            let other = &valid[random.below(valid.len())];
            out.truncate(at);
            out.extend_from_slice(&other[random.below(other.len())..]);
        }
    }
}

/// Messages as good clients send them, and shapes that have hurt servers before.
fn valid() -> Vec<Bytes> {
    let mut all = requests();
    // Empty acknowledgement, reset, ping; an answer nobody asked for; an empty payload after its
    // marker; token lengths 9 and 15; an option that is longer than the datagram; number 65,804.
    for hexadecimal in [
        "60000001",
        "70000001",
        "40000001",
        "64450001aabbccddff31",
        "40010001ff",
        "49010001",
        "4f010001",
        "40010001bd",
        "40010001e0ffff00",
        "4402e6e2e2e68167b2726411",
    ] {
        all.push(from_hexadecimal(hexadecimal));
    }
    // Many options, and one of a thousand bytes.
    let mut segments = vec![0x40, 0x02, 0, 1];
    segments.extend([0xb1, b'a']);
    segments.extend([0x01, b'b'].repeat(200));
    all.push(segments.into());
    let mut long = vec![0x40, 0x01, 0, 1, 0xbe, 0x02, 0xdb];
    long.extend([b'x'; 1_000]);
    all.push(long.into());
    all
}

fn requests() -> Vec<Bytes> {
    let links = "</>;rt=\"oma.lwm2m\";ct=110,</1/0>,</3/0>,</4/0>,</5/0>";
    let register = |name: &str| {
        Request::post("/rd")
            .query("lwm2m=1.1")
            .query(&format!("ep={name}"))
            .query("lt=1")
            .query("b=U")
            .content_format(40)
            .payload(links.to_owned())
    };
    let many_links: String = (0..60).map(|id| format!("</{id}/0>,")).collect();
    let block = |bytes: &'static [u8]| {
        Request::new(Code::PUT)
            .option(OptionNumber::URI_PATH, b"rd")
            .option(OptionNumber::BLOCK1, bytes)
            .payload(vec![0; 1_024])
    };
    let mut requests = vec![
        Request::get("/.well-known/core"),
        Request::get("/rd"),
        Request::get("/fw/0123456789abcdef"),
        Request::get("/a/b/c/d/e/f/g/h").query("x=y"),
        Request::new(Code::DELETE).option(OptionNumber::URI_PATH, b"rd"),
        Request::post("/rd/0-1"),
        Request::post("/rd/0-1").query("lt=60"),
        Request::post("/rd").query("ep=").query("lt=-1"),
        register("evil").query("ep=twice"),
        register("evil-long").payload(many_links),
        block(&[0x0e]),
        block(&[0x1e]),
        block(&[0xff, 0xff, 0xfe]),
        Request::get("/rd").option(OptionNumber::OBSERVE, b""),
    ];
    requests.extend((0..16).map(|_| register("evil-000")));
    requests.into_iter().map(datagram).collect()
}

fn datagram(request: Request) -> Bytes {
    let mut endpoint = Endpoint::new(coap::Config::default(), 3);
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    endpoint.request(nowhere, request, Duration::ZERO).expect("a good request");
    endpoint.poll_transmit().expect("a datagram").datagram
}

fn from_hexadecimal(text: &str) -> Bytes {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("ASCII");
        u8::from_str_radix(pair, 16).expect("hexadecimal")
    };
    digits.map(byte).collect()
}
