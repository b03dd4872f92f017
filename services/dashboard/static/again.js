// After a link of another site, such as a web mail's: ask for the page again. The browser keeps the session to itself
// on requests that another site causes (SameSite=Strict), and sends it with this one.

const address = new URL(location.href);
address.searchParams.set("again", "1");
location.replace(address);
