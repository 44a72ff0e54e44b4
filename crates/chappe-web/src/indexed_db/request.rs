//! Requests and transactions of `IndexedDB`, as futures.

use js_sys::futures::JsFuture;
use js_sys::{Function, Promise};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Event, IdbDatabase, IdbFactory, IdbObjectStoreParameters, IdbRequest, IdbTransaction};

/// Opens a database. One that is made gets these object stores, whose keys are numbers unless they are given.
pub(super) async fn opened(
    factory: &IdbFactory,
    name: &str,
    stores: &'static [&'static str],
) -> Result<IdbDatabase, JsValue> {
    let request = factory.open_with_u32(name, 1)?;
    let made = request.clone();
    let make = Closure::once(move |_: Event| -> Result<(), JsValue> {
        let database: IdbDatabase = made.result()?.unchecked_into();
        for store in stores {
            let parameters = IdbObjectStoreParameters::new();
            parameters.set_auto_increment(true);
            database.create_object_store_with_optional_parameters(store, &parameters)?;
        }
        Ok(())
    });
    request.set_onupgradeneeded(Some(make.as_ref().unchecked_ref()));
    let result = finished(&request).await;
    request.set_onupgradeneeded(None);
    Ok(result?.unchecked_into())
}

/// Waits for a request, and returns its result.
pub(super) async fn finished(request: &IdbRequest) -> Result<JsValue, JsValue> {
    let ended: Promise = Promise::new(&mut |resolve: Function, reject: Function| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    match JsFuture::from(ended).await {
        Ok(_) => request.result(),
        Err(event) => Err(request.error()?.map_or(event, JsValue::from)),
    }
}

/// Waits until a transaction is complete.
pub(super) async fn committed(transaction: &IdbTransaction) -> Result<(), JsValue> {
    let ended: Promise = Promise::new(&mut |resolve: Function, reject: Function| {
        transaction.set_oncomplete(Some(&resolve));
        transaction.set_onabort(Some(&reject));
    });
    match JsFuture::from(ended).await {
        Ok(_) => Ok(()),
        // Without an error it was aborted by hand, or the disk is full.
        Err(event) => Err(transaction.error().map_or(event, JsValue::from)),
    }
}
