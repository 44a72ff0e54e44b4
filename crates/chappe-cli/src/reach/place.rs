//! The datacenter that the user names.

use std::str::FromStr;

use chappe::net::Address;

/// A datacenter as the user names it: a number, an address, or the word `embedded`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The public datacenter with this number.
    Datacenter(u16),
    /// An address.
    At(Address),
    /// One that is started for the command.
    Embedded,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::Datacenter(number));
        }
        let (host, port) = text.rsplit_once(':').ok_or("expected a number, HOST:PORT, or `embedded`")?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_name = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
        match port.parse() {
            Ok(port) if port != 0 && is_name => Ok(Self::At(Address::of(host, port))),
            Ok(_) if is_name => Err("the port is 0".into()),
            Ok(_) => Err("the host is missing or malformed".into()),
            Err(_) => Err(format!("`{port}` is no port")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Place;
    use chappe::net::Address;

    #[test]
    fn a_place_is_a_number_an_address_or_a_word() {
        assert_eq!("4".parse(), Ok(Place::Datacenter(4)));
        assert_eq!("embedded".parse(), Ok(Place::Embedded));
        assert_eq!("[::1]:443".parse(), Ok(Place::At(Address::of("::1", 443))));
        assert_eq!("dc.example:443".parse(), Ok(Place::At(Address::of("dc.example", 443))));
        for wrong in ["", "dc.example", "dc.example:", "dc.example:99999", ":443", "h:0", "a b:1"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
