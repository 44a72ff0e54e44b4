//! A page that connects to a datacenter, makes a key, calls `help.getConfig`, and shows updates. Loaded again, it has its key.
//!
//! `cargo xtask browser --serve` builds it and serves it beside an embedded datacenter. Without parameters in its URL it
//! connects to Telegram's datacenter 2. With `url`, `dc` and `key`, the public key in PEM form, it connects to another one.
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a page has std")]

mod view;

use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;

use chappe_crypto::rsa::{KeyRing, PublicKey};
use chappe_handshake::{ClientOptions, DcId};
use chappe_net::store::{AsyncKeyStore as _, Slot};
use chappe_net::{Client, ConnectOptions, InvokeOptions, Update};
use chappe_session::client::{ClientInfo, InitConnection, SavedState};
use chappe_web::IndexedDb;
use js_sys::futures::spawn_local;

use crate::view::View;

/// The layer that the page announces. It decodes nothing but the beginning of `config`, which no layer has changed.
const LAYER: i32 = 230;

/// `help.getConfig#c4f9186b = Config`.
const GET_CONFIG: u32 = 0xc4f9_186b;

/// `config#cc1a241e`.
const CONFIG: u32 = 0xcc1a_241e;

fn main() {
    std::panic::set_hook(Box::new(|panic| web_sys::console::error_1(&panic.to_string().into())));
    let view = Rc::new(View::new());
    spawn_local(async move {
        if let Err(error) = run(&view).await {
            view.show("state", &report(error.as_ref()));
        }
    });
}

async fn run(view: &Rc<View>) -> Result<(), Box<dyn Error>> {
    let options = options(view)?;
    let (slot, store) = (options.slot(), Arc::new(IndexedDb::open("chappe-page").await?));
    let had_key = store.load(slot).await?.is_some();
    view.show("state", "connecting");
    let client = chappe_web::connect(options.with_async_store(store.clone())).await?;
    spawn_local(show_updates(Rc::clone(view), client.clone()));
    ask(view, &client).await?;
    view.show_time("first-answer");
    view.show("key-origin", if had_key { "from IndexedDB" } else { "made now" });
    view.show("key-id", &key_id(&store, slot).await?.unwrap_or_default());
    view.show("state", "connected");
    let (again, asking) = (client.clone(), Rc::clone(view));
    view.on_click("again", move || {
        let (client, view) = (again.clone(), Rc::clone(&asking));
        spawn_local(async move {
            if let Err(error) = ask(&view, &client).await {
                view.show("state", &report(error.as_ref()));
            }
        });
    });
    let forgetting = Rc::clone(view);
    view.on_click("forget", move || {
        let (client, store, view) = (client.clone(), Arc::clone(&store), Rc::clone(&forgetting));
        spawn_local(async move {
            client.close().await;
            let removed = store.remove(slot).await;
            view.show("state", removed.map_or("the key could not be removed", |()| "the key is forgotten"));
        });
    });
    Ok(())
}

/// Reads the parameters of the page's URL.
fn options(view: &View) -> Result<ConnectOptions, Box<dyn Error>> {
    let dc: u16 = view.parameter("dc").as_deref().unwrap_or("2").parse()?;
    let application = ClientInfo::default().with_api_id(1).with_app_version(b"0.1.0".into());
    let options = if let (Some(url), Some(pem)) = (view.parameter("url"), view.parameter("key")) {
        let mut keys = KeyRing::empty();
        keys.add(PublicKey::from_pem(&pem)?);
        chappe_web::at(url, ClientOptions::new(keys, DcId::production(dc)))
    } else {
        chappe_web::production(dc)
    };
    let candidate = options.candidates.first().ok_or("there is no such datacenter")?;
    view.show("url", &candidate.address.to_string());
    Ok(options.with_init(InitConnection::new(LAYER, &application)?))
}

/// Calls `help.getConfig`, and shows the answer.
async fn ask(view: &View, client: &Client) -> Result<(), Box<dyn Error>> {
    let answer = client.invoke_bytes(&GET_CONFIG.to_le_bytes(), &InvokeOptions::default()).await?;
    let word = |place| {
        answer.chunks_exact(4).nth(place).and_then(|word| Some(u32::from_le_bytes(*word.first_chunk()?)))
    };
    let [Some(CONFIG), Some(date), Some(expires), Some(this_dc), Some(addresses)] = [0, 2, 3, 5, 7].map(word)
    else {
        return Err(format!("{} bytes that are no config", answer.len()).into());
    };
    let lasts = expires.saturating_sub(date);
    view.show("config", &format!("datacenter {this_dc}, {addresses} addresses, valid for {lasts} s"));
    view.count("answers");
    let status = client.status();
    // In whole numbers: the text of a float takes 8 KiB of code.
    let micros = status.round_trip.unwrap_or_default().as_micros() as u64;
    view.show("round-trip", &format!("{}.{} ms", micros / 1000, micros % 1000 / 100));
    Ok(())
}

async fn show_updates(view: Rc<View>, client: Client) {
    let mut updates = client.updates();
    while let Some(update) = updates.recv().await {
        match update {
            Update::Object(object) => {
                let id = object.bytes.first_chunk().map_or(0, |id| u32::from_le_bytes(*id));
                view.add("updates", &format!("constructor {id:08x}, {} bytes", object.bytes.len()));
                view.count("update-count");
            }
            other => view.add("updates", &format!("{other:?}")),
        }
    }
}

/// Returns the id of the key that a slot holds, which is no secret: it is in front of every message.
async fn key_id(store: &IndexedDb, slot: Slot) -> Result<Option<String>, Box<dyn Error>> {
    let Some(state) = store.load(slot).await? else { return Ok(None) };
    let state = SavedState::import(&state)?;
    Ok(Some(format!("{:016x}", state.key.auth_key.id().to_raw())))
}

/// Returns an error with its causes.
fn report(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
