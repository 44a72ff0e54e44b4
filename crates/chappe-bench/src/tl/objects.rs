//! What is decoded and encoded: answers as a busy account gets them.

use super::value::{Object, Value};

/// A generator of numbers that are the same each time.
pub struct Draw(u64);

impl Draw {
    /// Starts.
    pub fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn id(&mut self) -> i64 {
        (self.next() >> 2) as i64
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// Words of two alphabets, of at least `len` bytes.
    fn text(&mut self, len: usize) -> String {
        const WORDS: [&str; 15] = [
            "the",
            "quick",
            "brown",
            "fox",
            "jumps",
            "over",
            "a",
            "lazy",
            "dog",
            "\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}",
            "\u{43c}\u{438}\u{440}",
            "release",
            "notes",
            "channel",
            "update",
        ];
        let mut text = String::new();
        while text.len() < len {
            text.push_str(WORDS[self.below(WORDS.len() as u64) as usize]);
            text.push(' ');
        }
        text
    }

    fn peer(&mut self, index: i64) -> Object {
        Object::new("peerUser").with("user_id", 1_000_000_000 + index + self.below(2) as i64)
    }

    fn photo(&mut self, index: i32) -> Object {
        let size = |kind: &str, w: i32, h: i32, bytes: i32| {
            let size = Object::new("photoSize").with("type", kind);
            Value::from(size.with("w", w).with("h", h).with("size", bytes))
        };
        let stripped = Object::new("photoStrippedSize").with("type", "i").with("bytes", self.bytes(350));
        let steps: Value = [1000, 20_000, 40_000, 90_000, 150_000].into_iter().collect();
        let progressive = Object::new("photoSizeProgressive").with("type", "y").with("w", 1280);
        let sizes = vec![
            stripped.into(),
            size("m", 320, 240, 14_000),
            size("x", 800, 600, 80_000),
            progressive.with("h", 960).with("sizes", steps).into(),
        ];
        Object::new("photo")
            .with("id", self.id())
            .with("access_hash", self.id())
            .with("file_reference", self.bytes(25))
            .with("date", 1_700_000_000 + index)
            .with("sizes", Value::List(sizes))
            .with("dc_id", 2)
    }

    fn entity(&mut self, index: i32) -> Object {
        let placed = |name, length: i32| Object::new(name).with("offset", index * 5).with("length", length);
        match self.below(4) {
            0 => placed("messageEntityBold", 4),
            1 => placed("messageEntityTextUrl", 6).with("url", "https://example.org/some/path?id=7"),
            2 => placed("messageEntityMention", 7),
            _ => placed("messageEntityCustomEmoji", 2).with("document_id", self.id()),
        }
    }

    fn media(&mut self, index: i32) -> Option<Object> {
        if index % 4 == 1 {
            return Some(Object::new("messageMediaPhoto").with("photo", self.photo(index)));
        }
        if index % 10 == 2 {
            let video = Object::new("documentAttributeVideo").with("duration", 12.5).with("w", 1280);
            let name = Object::new("documentAttributeFilename").with("file_name", "video.mp4");
            let document = Object::new("document")
                .with("id", self.id())
                .with("access_hash", self.id())
                .with("file_reference", self.bytes(25))
                .with("date", 1_700_000_000)
                .with("mime_type", "video/mp4")
                .with("size", 12_345_678_i64)
                .with("dc_id", 4)
                .with("attributes", [video.with("h", 720), name].into_iter().collect::<Value>());
            return Some(Object::new("messageMediaDocument").with("document", document));
        }
        if index % 10 != 6 {
            return None;
        }
        let page = Object::new("webPage")
            .with("id", self.id())
            .with("url", "https://example.org/article/17")
            .with("display_url", "example.org/article")
            .with("type", "article")
            .with("site_name", "Example")
            .with("title", self.text(50))
            .with("description", self.text(180))
            .with("photo", self.photo(index));
        Some(Object::new("messageMediaWebPage").with("webpage", page))
    }

    fn message(&mut self, index: i32) -> Object {
        let length = [20, 60, 120, 200, 400][self.below(5) as usize];
        let entities = [0, 1, 2, 4][self.below(4) as usize];
        let mut message = Object::new("message")
            .with("id", 100_000 - index)
            .with("from_id", self.peer(i64::from(index % 30)))
            .with("peer_id", Object::new("peerChannel").with("channel_id", 1_234_567_890_i64))
            .with("date", 1_700_000_000 + index * 60)
            .with("message", self.text(length))
            .with_if(index % 2 == 1, "views", 1000 + index)
            .with_if(index % 2 == 1, "forwards", 3)
            .with_if(index % 7 == 0, "out", Value::Set);
        if entities > 0 {
            message = message.with("entities", (0..entities).map(|at| self.entity(at)).collect::<Value>());
        }
        if index % 3 == 0 {
            let reply = Object::new("messageReplyHeader").with("reply_to_msg_id", 99_995 - index);
            message = message.with("reply_to", reply);
        }
        if let Some(media) = self.media(index) {
            message = message.with("media", media);
        }
        if index % 5 == 0 {
            let count = |emoticon: &str| {
                let reaction = Object::new("reactionEmoji").with("emoticon", emoticon);
                Object::new("reactionCount").with("reaction", reaction).with("count", 7)
            };
            let counts: Value = ["\u{1f44d}", "\u{2764}", "\u{1f525}"].into_iter().map(count).collect();
            message = message.with("reactions", Object::new("messageReactions").with("results", counts));
        }
        if index % 9 == 4 {
            let header = Object::new("messageFwdHeader").with("from_id", self.peer(i64::from(index)));
            message = message.with("fwd_from", header.with("date", 1_690_000_000));
        }
        message
    }

    fn user(&mut self, index: i64) -> Object {
        let photo = Object::new("userProfilePhoto").with("photo_id", self.id()).with("dc_id", 2);
        Object::new("user")
            .with("id", 1_000_000_000 + index)
            .with("access_hash", self.id())
            .with("first_name", self.text(8))
            .with_if(index % 2 == 1, "last_name", "Surname")
            .with_if(index % 3 != 0, "username", "user_name_17")
            .with("photo", photo.with("stripped_thumb", self.bytes(100)))
            .with("status", online())
            .with_if(index % 4 == 0, "premium", Value::Set)
            .with_if(index % 6 == 0, "contact", Value::Set)
    }

    fn channel(&mut self, index: i64) -> Object {
        let photo = Object::new("chatPhoto").with("photo_id", self.id()).with("dc_id", 4);
        let rights = Object::new("chatBannedRights").with("until_date", i32::MAX);
        Object::new("channel")
            .with("id", 1_234_567_890 + index)
            .with("access_hash", self.id())
            .with("title", self.text(30))
            .with("username", "channel_17")
            .with("photo", photo.with("stripped_thumb", self.bytes(100)))
            .with("date", 1_600_000_000)
            .with("megagroup", Value::Set)
            .with("default_banned_rights", rights.with("send_media", Value::Set))
            .with("participants_count", 12_345)
    }
}

fn online() -> Object {
    Object::new("userStatusOnline").with("expires", 1_700_000_300)
}

/// `messages.messages` with 100 messages, 30 users and 5 channels.
pub fn messages() -> Object {
    let mut draw = Draw::new();
    Object::new("messages.messages")
        .with("messages", (0..100).map(|index| draw.message(index)).collect::<Value>())
        .with("chats", (0..5).map(|index| draw.channel(index)).collect::<Value>())
        .with("users", (0..30).map(|index| draw.user(index)).collect::<Value>())
}

/// `updates` with 20 updates of four kinds and 8 users.
pub fn updates() -> Object {
    let mut draw = Draw::new();
    let update = |draw: &mut Draw, index: i32| match index % 4 {
        0 => Object::new("updateNewChannelMessage")
            .with("message", draw.message(index))
            .with("pts", 100 + index)
            .with("pts_count", 1),
        1 => Object::new("updateUserStatus").with("user_id", 1_000_000_000_i64).with("status", online()),
        2 => Object::new("updateReadChannelInbox").with("channel_id", 1_234_567_890_i64).with("max_id", 5),
        _ => Object::new("updateChannelMessageViews")
            .with("channel_id", 1_234_567_890_i64)
            .with("id", 5)
            .with("views", 77),
    };
    Object::new("updates")
        .with("updates", (0..20).map(|index| update(&mut draw, index)).collect::<Value>())
        .with("users", (0..8).map(|index| draw.user(index)).collect::<Value>())
        .with("chats", [draw.channel(0)].into_iter().collect::<Value>())
        .with("date", 1_700_000_000)
        .with("seq", 5)
}

/// `messages.affectedMessages`: 12 bytes.
pub fn affected() -> Object {
    Object::new("messages.affectedMessages").with("pts", 5).with("pts_count", 1)
}

/// `upload.file` with 512 KiB.
pub fn file() -> Object {
    let bytes = Draw::new().bytes(512 << 10);
    Object::new("upload.file")
        .with("type", Object::new("storage.fileJpeg"))
        .with("mtime", 1)
        .with("bytes", bytes)
}
