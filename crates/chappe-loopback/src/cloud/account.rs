//! Accounts, and how they look in the layer of a client.

use chappe_tl::{Serializable as _, Sink as _};

use super::mailbox::Mailbox;
use super::password::Password;

/// Number of a user.
pub type UserId = i64;

/// A user of the datacenter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Number.
    pub id: UserId,
    /// Name shown.
    pub first_name: String,
    /// Name without the `@`.
    pub username: String,
}

/// An account and what belongs to it.
pub(crate) struct Person {
    pub(crate) account: Account,
    /// Digits only; `None` for a bot.
    pub(crate) phone: Option<String>,
    pub(crate) is_bot: bool,
    pub(crate) home: Option<u16>,
    pub(crate) password: Option<Password>,
    pub(crate) mailbox: Mailbox,
}

impl Person {
    pub(super) fn new(account: Account) -> Self {
        let mailbox = Mailbox::default();
        Self { account, phone: None, is_bot: false, home: None, password: None, mailbox }
    }
}

/// Returns the digits of a phone number: clients write it in many ways.
pub(crate) fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

/// Constructor ids of `user`, each with a layer that has it; a layer in between gets the one below.
///
/// All of them begin with two flags words and hold the few fields written here in the same order, and everything else is behind
/// flags that are not set.
const USER_IDS: [(i32, u32); 6] = [
    (0, 0x8f97_c628),
    (166, 0xeb60_2f25),
    (186, 0x8331_4fca),
    (198, 0x4b46_c37e),
    (222, 0x3177_4388),
    (229, 0xb1b8_cc83),
];

/// Bits of the first flags word of `user`.
mod flag {
    pub(super) const ACCESS_HASH: u32 = 1 << 0;
    pub(super) const FIRST_NAME: u32 = 1 << 1;
    pub(super) const USERNAME: u32 = 1 << 3;
    pub(super) const PHONE: u32 = 1 << 4;
    pub(super) const SELF: u32 = 1 << 10;
    pub(super) const BOT: u32 = 1 << 14;
}

/// Returns the id of the table that a layer has.
pub(super) fn id_of_layer(ids: &[(i32, u32)], layer: i32) -> u32 {
    ids.iter().rev().find(|(since, _)| *since <= layer).unwrap_or(&ids[0]).1
}

/// Writes `user` of a layer. Only to themselves, users have a phone number.
pub(crate) fn encode_user(person: &Person, is_self: bool, layer: i32, out: &mut Vec<u8>) {
    let phone = person.phone.as_ref().filter(|_| is_self);
    let flags = [
        (true, flag::ACCESS_HASH | flag::FIRST_NAME),
        (!person.account.username.is_empty(), flag::USERNAME),
        (phone.is_some(), flag::PHONE),
        (is_self, flag::SELF),
        (person.is_bot, flag::BOT),
    ];
    let flags = flags.iter().filter(|(is_set, _)| *is_set).fold(0, |all, (_, bit)| all | bit);
    for word in [id_of_layer(&USER_IDS, layer), flags, 0] {
        out.put(&word.to_le_bytes());
    }
    for long in [person.account.id, 0] {
        out.put(&long.to_le_bytes());
    }
    let username = Some(&person.account.username).filter(|name| !name.is_empty());
    for text in [Some(&person.account.first_name), username, phone].into_iter().flatten() {
        // A name longer than TL can encode has no place in a client either.
        let _ = text.serialize(out);
    }
    if person.is_bot {
        // `bot_info_version`
        out.put(&1_i32.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use chappe_tl::table::Decoded;
    use chappe_tl_api::{LAYER, enums};

    use super::*;

    #[test]
    fn a_user_of_the_current_layer_is_one() {
        let account = Account { id: 7, first_name: "Claude".into(), username: "chappe".into() };
        let mut person = Person { phone: Some("33123".into()), ..Person::new(account) };
        for (is_bot, is_self) in [(false, true), (true, true), (false, false)] {
            person.is_bot = is_bot;
            let mut bytes = Vec::new();
            encode_user(&person, is_self, LAYER, &mut bytes);
            let user = Decoded::<enums::User<'static>>::from_vec(bytes).expect("the layer's user");
            let enums::User::User(user) = user.get() else { panic!("{user:?}") };
            assert_eq!((user.id, user.first_name, user.username), (7, Some("Claude"), Some("chappe")));
            assert_eq!((user.bot, user.phone), (is_bot, is_self.then_some("33123")));
        }
    }

    #[test]
    fn phone_numbers_are_compared_by_their_digits() {
        assert_eq!(digits("+49 (123) 45-67"), "491234567");
    }
}
