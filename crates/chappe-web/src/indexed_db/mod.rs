//! Keys in an `IndexedDB` database of the site.

mod lock;
mod request;

use std::future::Future;

use chappe_net::store::{AsyncKeyStore, MAX_STATE_LEN, Slot, StoreError, StoreFuture, Zeroizing};
use js_sys::{Array, Object, Reflect, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{IdbDatabase, IdbFactory, IdbTransaction};

use self::lock::Lock;
use self::request::{committed, finished, opened};
use crate::js;

/// The object store of what is kept, by the name of the slot.
const STATES: &str = "states";

/// The object store of what was kept aside, by a number: the name of the slot and the state.
const ASIDE: &str = "aside";

/// Keeps states in an `IndexedDB` database of the site.
///
/// A state that was saved survives a crash of the browser and of the machine, unless the browser, or a person, clears the
/// data of the site. Every script of the site can read it: a site whose scripts are not all trusted has no place for a key.
///
/// One tab at a time has the store. The lock needs a page that was loaded over HTTPS, or from this machine.
#[derive(Debug)]
pub struct IndexedDb {
    name: String,
    database: IdbDatabase,
    _lock: Lock,
}

impl IndexedDb {
    /// Opens the database of this name, which is made if there is none. Waits up to five seconds for another tab to let go of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another tab or worker has it. Other errors state why the browser has no database or no locks.
    pub async fn open(name: &str) -> Result<Self, StoreError> {
        let lock = Lock::acquire(&format!("chappe:{name}")).await.map_err(|value| thrown(&value))?;
        let Some(lock) = lock else {
            let holder = Some("another tab or worker of this site".into());
            return Err(StoreError::InUse { store: format!("the database {name}"), holder });
        };
        let factory = js::global("indexedDB").map_err(|value| thrown(&value))?;
        let factory: IdbFactory =
            factory.dyn_into().map_err(|_| StoreError::other("the browser has no IndexedDB"))?;
        let database = opened(&factory, name, &[STATES, ASIDE]).await.map_err(|value| thrown(&value))?;
        Ok(Self { name: name.to_owned(), database, _lock: lock })
    }

    /// Begins a transaction that is on the disk once it is complete.
    fn change(&self) -> Result<IdbTransaction, JsValue> {
        let stores: Array = [STATES, ASIDE].into_iter().map(JsValue::from).collect();
        let options = Object::new();
        Reflect::set(&options, &"durability".into(), &"strict".into())?;
        let begun = js::call(&self.database, "transaction", &[&stores, &"readwrite".into(), &options])?;
        Ok(begun.unchecked_into())
    }

    async fn find(&self, slot: Slot) -> Result<Option<Zeroizing<Vec<u8>>>, JsValue> {
        let store = self.database.transaction_with_str(STATES)?.object_store(STATES)?;
        let found = finished(&store.get(&slot.to_string().into())?).await?;
        if found.is_undefined() {
            return Ok(None);
        }
        let array: Uint8Array = found.dyn_into()?;
        let bytes = Zeroizing::new(array.to_vec());
        wipe(&array);
        Ok(Some(bytes))
    }

    async fn replace(&self, slot: Slot, state: &[u8]) -> Result<(), JsValue> {
        let change = self.change()?;
        let array = Uint8Array::from(state);
        let put = change.object_store(STATES)?.put_with_key(&array, &slot.to_string().into());
        // The database has a copy of its own.
        wipe(&array);
        put?;
        committed(&change).await
    }

    async fn delete(&self, slot: Slot) -> Result<(), JsValue> {
        let change = self.change()?;
        change.object_store(STATES)?.delete(&slot.to_string().into())?;
        committed(&change).await
    }

    async fn copy_aside(&self, slot: Slot) -> Result<Option<String>, JsValue> {
        let change = self.change()?;
        let found = finished(&change.object_store(STATES)?.get(&slot.to_string().into())?).await?;
        if found.is_undefined() {
            return Ok(None);
        }
        let entry = Array::of2(&slot.to_string().into(), &found);
        let number = finished(&change.object_store(ASIDE)?.put(&entry)?).await?;
        if let Some(array) = found.dyn_ref() {
            wipe(array);
        }
        committed(&change).await?;
        let number = number.as_f64().unwrap_or_default();
        Ok(Some(format!("number {number} in `{ASIDE}` of the database {}", self.name)))
    }
}

impl AsyncKeyStore for IndexedDb {
    fn load(&self, slot: Slot) -> StoreFuture<'_, Option<Zeroizing<Vec<u8>>>> {
        future(self.find(slot))
    }

    fn save<'a>(&'a self, slot: Slot, state: &'a [u8]) -> StoreFuture<'a, ()> {
        if state.len() > MAX_STATE_LEN {
            let error = StoreError::TooLarge { len: state.len() as u64, max: MAX_STATE_LEN };
            return Box::pin(async { Err(error) });
        }
        future(self.replace(slot, state))
    }

    fn remove(&self, slot: Slot) -> StoreFuture<'_, ()> {
        future(self.delete(slot))
    }

    fn keep_aside(&self, slot: Slot) -> StoreFuture<'_, Option<String>> {
        future(self.copy_aside(slot))
    }
}

impl Drop for IndexedDb {
    fn drop(&mut self) {
        self.database.close();
    }
}

/// Makes a future of a store. It stays in the one thread that there is.
fn future<'a, T: 'a>(work: impl Future<Output = Result<T, JsValue>> + 'a) -> StoreFuture<'a, T> {
    Box::pin(SendWrapper::new(async move { work.await.map_err(|value| thrown(&value)) }))
}

/// Makes an error of what the browser threw, which contains nothing of a state.
fn thrown(value: &JsValue) -> StoreError {
    StoreError::other(js::describe(value))
}

/// Overwrites a copy that belongs to the page.
fn wipe(array: &Uint8Array) {
    array.fill(0, 0, array.length());
}
