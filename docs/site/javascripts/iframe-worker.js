// Browsers start no worker from a page that was opened from the disk. The search has one: there, it runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.early = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.srcdoc = "<!doctype html>";
      this.frame.addEventListener("load", () => this.start(url), { once: true });
      document.body.append(this.frame);
    }

    start(url) {
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => this.tell("message", structuredClone(data));
      inside.onerror = (message) => this.tell("error", message);
      const script = inside.document.createElement("script");
      script.src = new URL(url, location.href);
      script.onload = () => {
        this.ready = true;
        this.early.forEach((data) => this.postMessage(data));
      };
      inside.document.body.append(script);
    }

    // Messages come later, as a worker's do: whoever asks does not expect the answer while still asking.
    tell(kind, data) {
      const event = new MessageEvent(kind, { data });
      setTimeout(() => {
        this.dispatchEvent(event);
        this[`on${kind}`]?.(event);
      });
    }

    postMessage(data) {
      if (!this.ready) {
        this.early.push(data);
        return;
      }
      const inside = this.frame.contentWindow; // whose own arrays and objects it has to get
      const event = new inside.MessageEvent("message", { data: inside.structuredClone(data) });
      setTimeout(() => inside.dispatchEvent(event));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
