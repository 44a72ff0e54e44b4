//! Two embedded datacenters that play Telegram: the account lives on 4, the file lies on 2.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use chappe::authentication::DcId;
use chappe::loopback::api::Account;
use chappe::loopback::{Cloud, Loopback, Misbehaviour, Options};
use chappe::net::ConnectOptions;

pub(crate) const PHONE: &str = "+4912345678";
pub(crate) const CODE: &str = "54321";
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const FILE: i64 = 1794;

const USER: i64 = 7;

/// The datacenters 2 and 4.
pub(crate) struct Telegram {
    two: Loopback,
    four: Loopback,
    is_busy: AtomicBool,
}

impl Telegram {
    pub(crate) fn start() -> Result<Self> {
        let cloud = Cloud::new();
        cloud.add_user(PHONE, Account { id: USER, first_name: "Claude".into(), username: "claude".into() });
        cloud.set_code(PHONE, CODE);
        cloud.set_password(USER, Some(PASSWORD));
        cloud.set_home(USER, 4);
        cloud.add_file(FILE, Some(2), vec![0x5a; 4096]);
        let two = Options::new().cloud(&cloud).start()?;
        let four = Options::new().cloud(&cloud).dc(DcId::production(4)).start()?;
        Ok(Self { two, four, is_busy: AtomicBool::new(true) })
    }

    pub(crate) fn options(&self, dc: u16) -> ConnectOptions {
        if dc == 2 {
            return self.two.connect_options();
        }
        if self.is_busy.swap(false, Ordering::Relaxed) {
            // The first call there is told to wait a second.
            let flood_wait = Misbehaviour::RpcError { code: 420, message: "FLOOD_WAIT_1".into() };
            self.four.faults().next_query(flood_wait);
        }
        self.four.connect_options()
    }
}
