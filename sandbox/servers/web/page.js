/* The page of the plugins.  Plain JavaScript of 2009 (ES5), because televisions are old.
   Nothing from the server is ever read as HTML: text nodes and attributes alone are set. */
(function () {
  "use strict";

  var POLL = 3000;
  var STATES = {
    enabled: "on", disabled: "off", failed: "failed", ungranted: "missing grants"
  };
  var session = { operator: false };
  var cards = {};
  var reviewing = null;

  // ------------------------------------------------------------------ small things

  function by(id) { return document.getElementById(id); }

  function put(node, text) {
    text = text === undefined || text === null ? "" : String(text);
    if (node.textContent !== text) { node.textContent = text; }
  }

  function make(kind, look, text) {
    var node = document.createElement(kind);
    if (look) { node.className = look; }
    if (text !== undefined) { node.textContent = text; }
    return node;
  }

  function add(parent) {
    for (var i = 1; i < arguments.length; i++) { parent.appendChild(arguments[i]); }
    return parent;
  }

  function empty(node) { while (node.firstChild) { node.removeChild(node.firstChild); } }

  function button(text, act, look) {
    var node = make("button", look, text);
    node.type = "button";
    node.addEventListener("click", act);
    return node;
  }

  var fading = 0;

  function say(text) {
    put(by("alert"), "");
    put(by("status"), text);
    clearTimeout(fading);
    fading = setTimeout(function () { put(by("status"), ""); }, 8000);
  }

  function complain(text) { put(by("status"), ""); put(by("alert"), text); }

  function announce(error, text) { if (error) { complain(error); } else { say(text); } }

  function request(method, url, body, done, progress) {
    var xhr = new XMLHttpRequest();
    xhr.open(method, url);
    xhr.setRequestHeader("Accept", "application/json");
    if (method === "POST") {
      xhr.setRequestHeader(
        "Content-Type", progress ? "application/octet-stream" : "application/json"
      );
    }
    if (progress && xhr.upload) { xhr.upload.onprogress = progress; }
    xhr.onload = function () {
      var data = null;
      try { data = JSON.parse(xhr.responseText); } catch (broken) { data = null; }
      if (xhr.status >= 200 && xhr.status < 300) {
        done("", data || {}, xhr.status);
      } else {
        done((data && data.error) || "The server answered " + xhr.status + ".", {}, xhr.status);
      }
    };
    xhr.onerror = function () { done("The server does not answer.", {}, 0); };
    xhr.send(progress ? body : method === "POST" ? JSON.stringify(body || {}) : null);
  }

  function act(plugin, what, body, text) {
    request("POST", "/admin/plugins/" + plugin.link + "/" + what, body, function (error) {
      announce(error, text);
      refresh();
    });
  }

  function clock(seconds) {
    function two(number) { return number < 10 ? "0" + number : String(number); }
    var then = new Date(seconds * 1000);
    return two(then.getHours()) + ":" + two(then.getMinutes()) + ":" + two(then.getSeconds());
  }

  // ------------------------------------------------------------------ usage and logs

  function amount(name, value) {
    if (name === "cpu" || name === "wall") {
      return value < 1 ? Math.round(value * 1000) + " ms" : Math.round(value * 100) / 100 + " s";
    }
    if (name === "host_calls" || name === "log_lines") { return String(Math.round(value)); }
    if (value >= 1048576) { return Math.round(value / 104857.6) / 10 + " MiB"; }
    return value >= 1024 ? Math.round(value / 1024) + " KiB" : Math.round(value) + " B";
  }

  function share(value, limit) {
    return (limit > 0 ? Math.min(100, Math.max(0, 100 * value / limit)) : 0) + "%";
  }

  function measure(name) {
    var root = make("div", "measure");
    var bar = make("span", "bar");
    var peak = make("span", "peak");
    var current = make("span", "current");
    var numbers = make("span", "numbers");
    bar.setAttribute("aria-hidden", "true"); // the numbers say it
    add(bar, peak, current);
    add(root, make("span", "what", name.replace("_", " ")), bar, numbers);
    return {
      root: root,
      show: function (one) {
        peak.style.width = share(one.peak, one.limit);
        current.style.width = share(one.current, one.limit);
        current.className = one.current > 0.8 * one.limit ? "current high" : "current";
        put(numbers, amount(name, one.current) + " of " + amount(name, one.limit) +
          ", peak " + amount(name, one.peak));
      }
    };
  }

  function usage() {
    var root = make("div");
    var shown = "";
    var rows = [];
    return {
      root: root,
      show: function (workers) {
        var names = workers.map(function (worker) { return worker.name; }).join("\n");
        if (names !== shown || !root.firstChild) {
          shown = names;
          rows = [];
          empty(root);
          workers.forEach(function (worker) {
            var own = {};
            add(root, make("p", "about", "Worker " + worker.name));
            Object.keys(worker.usage).forEach(function (name) {
              own[name] = measure(name);
              add(root, own[name].root);
            });
            rows.push(own);
          });
          if (!workers.length) { add(root, make("p", "about", "No worker runs now.")); }
        }
        workers.forEach(function (worker, index) {
          Object.keys(worker.usage).forEach(function (name) {
            rows[index][name].show(worker.usage[name]);
          });
        });
      }
    };
  }

  function showLog(root, lines) {
    var last = lines.length ? lines[lines.length - 1] : { time: 0, text: "" };
    var mark = lines.length + " " + last.time + " " + last.text;
    var atEnd = root.scrollTop + root.clientHeight >= root.scrollHeight - 4;
    if (root.getAttribute("data-mark") === mark) { return; }
    root.setAttribute("data-mark", mark);
    empty(root);
    lines.forEach(function (line) {
      add(root, make("div", line.level, clock(line.time) + " " + line.level + " " + line.text));
    });
    if (!lines.length) { add(root, make("div", "", "Nothing was logged yet.")); }
    if (atEnd) { root.scrollTop = root.scrollHeight; }
  }

  // ------------------------------------------------------------------ capabilities

  // Where a capability comes from; what comes from nowhere is missing.
  var SOURCES = {
    page: "granted", base: "every plugin may", all: "allowed for all", start: "granted at the start"
  };

  // What a plugin asks for and was granted here, then what it may do besides.
  function everything(detail) {
    var seen = {};
    return detail.capabilities.concat(detail.given, detail.base).filter(function (one) {
      var known = seen["=" + one.name];
      seen["=" + one.name] = true;
      return !known;
    });
  }

  function capability(one, tail) {
    var text = make("div", "text");
    var line = make("div", "line");
    add(text, make("code", "", one.name), make("p", "about", one.about));
    add(line, text, make("span", "badge " + (one.source ? "good" : "lacks"),
      one.source ? SOURCES[one.source] : "missing"));
    if (tail) { add(line, tail); }
    return add(make("li"), line);
  }

  function capabilities(plugin, instead) {
    var list = make("ul", "asks");
    var shown = "";
    return {
      root: list,
      show: function (all) {
        var now = JSON.stringify(all);
        var focused = document.activeElement;
        var key = focused && list.contains(focused) ? focused.getAttribute("data-key") : null;
        if (now === shown) { return; }
        shown = now;
        empty(list);
        all.forEach(function (one) {
          var tail = null;
          if (one.state === "granted") {
            tail = button("Revoke", function () {
              act(plugin, "revoke", { capability: one.name }, one.name + " is revoked.");
            });
          } else if (one.state === "missing") {
            tail = button("Grant", function () {
              act(plugin, "grant", { capability: one.name }, one.name + " is granted.");
            });
          }
          if (tail) {
            tail.setAttribute("data-key", one.name);
            tail.setAttribute("aria-label", tail.textContent + " " + one.name);
          }
          add(list, capability(one, tail));
          // The list was made anew under somebody's finger: the focus stays where it was.
          if (tail && key === one.name) { tail.focus(); }
        });
        if (!all.length) { add(list, make("li", "about", "Nothing but compute and answer.")); }
        if (key && !list.contains(document.activeElement)) { instead.focus(); }
      }
    };
  }

  // ------------------------------------------------------------------ a plugin's card

  function icon(plugin, image) {
    var root = make("span", "icon");
    var picture;
    root.setAttribute("aria-hidden", "true");
    function letter() {
      empty(root);
      put(root, (plugin.label || plugin.name).charAt(0).toUpperCase());
    }
    if (!image) { letter(); return root; }
    picture = make("img");
    picture.alt = "";
    picture.onerror = letter;
    picture.src = image;
    return add(root, picture);
  }

  function card(plugin) {
    var root = make("li", "plugin");
    var head = make("div", "head");
    var text = make("div", "text");
    var title = make("h3");
    var about = make("p", "about");
    var badge = make("span", "badge");
    var problem = make("p", "problem");
    var buttons = make("div", "buttons");
    var open = make("a", "button", "Open");
    var view = { root: root, plugin: plugin, open: false };
    var details = null;
    var picture = null;
    var image = null;
    title.setAttribute("dir", "auto");
    title.id = "plugin-" + plugin.link;
    root.setAttribute("aria-labelledby", title.id);
    root.setAttribute("data-name", plugin.name);
    open.href = "/" + plugin.link + "/";
    add(root, add(head, add(text, title, about), badge), problem, add(buttons, open));

    var more = button("Details", function () { toggle(!view.open); });
    var turn = button("Switch off", function () {
      var off = view.plugin.state === "disabled";
      act(plugin, off ? "enable" : "disable", {}, view.plugin.label + (off ? " is on." : " is off."));
    });

    function toggle(wanted) {
      view.open = wanted;
      more.setAttribute("aria-expanded", String(wanted));
      if (!details) {
        details = panel(view);
        more.setAttribute("aria-controls", details.root.id);
        add(root, details.root);
      }
      details.root.hidden = !wanted;
      if (wanted) { view.load(); } else { more.focus(); }
    }
    view.toggle = toggle;

    view.load = function () {
      request("GET", "/admin/plugins/" + plugin.link, null, function (error, detail) {
        if (error) { complain(error); } else if (details) { details.show(detail); }
      });
    };

    view.show = function (now) {
      var parts = [now.name, now.language];
      view.plugin = now;
      root.className = "plugin " + now.state;
      put(title, now.label);
      put(badge, STATES[now.state] || now.state);
      if (now.workers) { parts.push(now.workers + (now.workers > 1 ? " workers" : " worker")); }
      put(about, parts.filter(Boolean).join(" · "));
      put(problem, now.problem || (now.missing && now.missing.length ?
        "It was not granted " + now.missing.join(", ") + "." :
        now.trouble ? clock(now.trouble.time) + " " + now.trouble.text : ""));
      var wanted = now.state === "disabled" ? "" : now.image; // it answers nothing while it is off
      if (image !== wanted || !picture) {
        image = wanted;
        if (picture) { head.removeChild(picture); }
        picture = head.insertBefore(icon(now, image), text);
      }
      open.hidden = now.state === "disabled" || now.state === "failed";
      put(turn, now.state === "disabled" ? "Switch on" : "Switch off");
      if (session.operator && !more.parentNode) { add(buttons, more, turn); }
      if (!session.operator && more.parentNode) {
        buttons.removeChild(more);
        buttons.removeChild(turn);
        if (details) { details.root.hidden = true; view.open = false; }
      }
      [open, more, turn].forEach(function (node) {
        node.setAttribute("aria-label", node.textContent + ": " + now.label);
      });
      if (view.open) { view.load(); }
    };
    more.setAttribute("aria-expanded", "false");
    view.show(plugin);
    return view;
  }

  function panel(view) {
    var plugin = view.plugin;
    var root = make("div", "details");
    var package_ = make("p", "about");
    var field = make("input");
    var asks = capabilities(plugin, field);
    var used = usage();
    var lines = make("div", "log");
    var buttons = make("div", "buttons");
    var sure = make("div", "panel");
    var form = make("form");
    var label = make("label", "", "Grant something else");
    var wanted = make("button", "", "Grant");
    root.id = "details-" + plugin.link;
    lines.tabIndex = 0;
    lines.setAttribute("role", "log");
    lines.setAttribute("aria-live", "off");
    lines.setAttribute("aria-label", "Log of " + plugin.label);
    field.id = "grant-" + plugin.link;
    field.placeholder = "http:api.example.org";
    field.autocomplete = "off";
    label.htmlFor = field.id;
    wanted.type = "submit";
    form.addEventListener("submit", function (event) {
      var asked = field.value.trim();
      event.preventDefault();
      if (!asked) { field.focus(); return; }
      field.value = "";
      act(plugin, "grant", { capability: asked }, asked + " is granted.");
    });
    add(form, label, field, add(make("div", "buttons"), wanted));
    add(buttons, button("Reload", function () {
      act(plugin, "reload", {}, plugin.label + " will start afresh.");
    }));
    var remove = button("Uninstall", function () {
      sure.hidden = false;
      keep.focus();
    }, "danger");
    var keep = button("Keep it", function () {
      sure.hidden = true;
      remove.focus();
    });
    var go = button("Yes, uninstall", function () {
      request("POST", "/admin/plugins/" + plugin.link + "/uninstall", {}, function (error) {
        announce(error, plugin.label + " is uninstalled.");
        refresh(function () { by("plugins-title").focus(); });
      });
    }, "danger");
    var question = make("p", "", "Uninstall this plugin and forget what it was granted? " +
      "What it has stored stays.");
    question.id = "sure-" + plugin.link;
    sure.setAttribute("role", "alertdialog");
    sure.setAttribute("aria-labelledby", question.id);
    sure.hidden = true;
    sure.closeIt = function () { keep.click(); };
    sure.className = "panel confirm";
    add(sure, question, add(make("div", "buttons"), keep, go));
    add(root, package_, make("h4", "", "What it may do"), asks.root, form,
      make("h4", "", "What it uses"), used.root, make("h4", "", "Log"), lines,
      buttons, sure);
    return {
      root: root,
      show: function (detail) {
        var from = detail.package;
        put(package_, from ? from.files + " files, " + amount("", from.size) +
          ", SHA-256 " + from.sha256 : "Put here by hand, not from a package.");
        asks.show(everything(detail));
        used.show(detail.usage);
        showLog(lines, detail.log);
        if (detail.installed && !remove.parentNode) { add(buttons, remove); }
      }
    };
  }

  // ------------------------------------------------------------------ the list

  function showPlugins(all) {
    var list = by("plugins");
    var seen = {};
    all.forEach(function (plugin) { seen[plugin.link] = true; });
    Object.keys(cards).forEach(function (link) {
      if (!seen[link]) {
        list.removeChild(cards[link].root);
        delete cards[link];
      }
    });
    Array.prototype.slice.call(list.children).forEach(function (node) {
      if (!node.hasAttribute("data-name")) { list.removeChild(node); }
    });
    all.forEach(function (plugin, index) {
      var known = cards[plugin.link];
      if (known) { known.show(plugin); } else { known = cards[plugin.link] = card(plugin); }
      // Moving a node would take the focus from it: only what is out of its place is moved.
      if (list.children[index] !== known.root) {
        list.insertBefore(known.root, list.children[index] || null);
      }
    });
    if (!all.length) { add(list, make("li", "plugin", "There are no plugins here yet.")); }
  }

  var moduleCards = {};

  function moduleCard(one) {
    var root = make("li", "plugin");
    var head = make("div", "head");
    var text = make("div", "text");
    var title = make("h3", "", one.name);
    var about = make("p", "about");
    var badge = make("span", "badge");
    var used = usage();
    var buttons = make("div", "buttons");
    var url = "/admin/modules/" + encodeURIComponent(one.host) + "/" + encodeURIComponent(one.name);
    ["Reload", "Reset"].forEach(function (name) {
      var node = button(name, function () {
        request("POST", url + "/" + name.toLowerCase(), {}, function (error) {
          announce(error, one.name + ": " + name.toLowerCase() + " is done.");
          refresh();
        });
      });
      node.setAttribute("aria-label", name + ": " + one.name + " on " + one.host);
      add(buttons, node);
    });
    add(root, add(head, add(text, title, about), badge), used.root, buttons);
    return {
      root: root,
      show: function (now) {
        root.className = "plugin " + (now.state === "active" ? "enabled" :
          now.state === "failed" ? "failed" : "ungranted");
        put(badge, now.state);
        put(about, [now.host, now.language, now.message,
          now.deaths ? now.deaths + " deaths" : ""].filter(Boolean).join(" · "));
        used.show(now.usage ? [{ name: now.sandbox, usage: now.usage }] : []);
      }
    };
  }

  function showModules(all) {
    var list = by("module-list");
    var seen = {};
    all.forEach(function (one) {
      var key = one.host + " " + one.name;
      seen[key] = true;
      if (!moduleCards[key]) {
        moduleCards[key] = moduleCard(one);
        add(list, moduleCards[key].root);
      }
      moduleCards[key].show(one);
    });
    Object.keys(moduleCards).forEach(function (key) {
      if (!seen[key]) {
        list.removeChild(moduleCards[key].root);
        delete moduleCards[key];
      }
    });
    by("modules").hidden = !all.length;
  }

  function refresh(done) {
    request("GET", "/admin/plugins", null, function (error, data) {
      if (error) {
        complain(error);
      } else {
        if (data.operator !== session.operator) { start(done); return; }
        if (by("alert").textContent === "The server does not answer.") { complain(""); }
        showPlugins(data.plugins);
        showModules(data.modules || []);
      }
      if (typeof done === "function") { done(); }
    });
    if (session.operator && !by("server-log").hidden) { loadLog(); }
  }

  function poll() {
    if (document.hidden) { setTimeout(poll, POLL); return; }
    refresh(function () { setTimeout(poll, POLL); });
  }

  // ------------------------------------------------------------------ installing

  function upload(file) {
    var bar = by("progress");
    if (!/\.(tgz|zip)$/i.test(file.name)) {
      complain("A package is a file such as radio.200.tgz.");
      return;
    }
    if (session.max_package && file.size > session.max_package) {
      complain("The package is longer than " + amount("", session.max_package) + ".");
      return;
    }
    say("");
    by("upload").hidden = false;
    bar.value = 0;
    put(by("upload-text"), "Sending " + file.name + "…");
    request("POST", "/admin/packages?name=" + encodeURIComponent(file.name), file,
      function (error, data) {
        by("upload").hidden = true;
        by("file").value = "";
        if (error) { complain(file.name + ": " + error); return; }
        say(data.plugin.label + (data.upgraded ? " is upgraded." : " is installed."));
        refresh();
        if (data.plugin.state === "disabled") { review(data.plugin, data.upgraded); }
      },
      function (event) {
        var done = event.lengthComputable ? Math.round(100 * event.loaded / event.total) : 0;
        bar.value = done;
        put(by("upload-text"), done < 100 ? "Sending " + file.name + ": " + done + " %" :
          "Checking " + file.name + "…");
      });
  }

  function review(plugin, upgraded) {
    var list = by("review-asks");
    var missing = 0;
    reviewing = { plugin: plugin, boxes: [] };
    empty(list);
    everything(plugin).forEach(function (one) {
      var label, box, text;
      if (one.state !== "missing") { add(list, capability(one)); return; }
      missing++;
      label = make("label");
      box = make("input");
      text = make("span");
      box.type = "checkbox";
      box.value = one.name;
      reviewing.boxes.push(box);
      add(text, make("code", "", one.name), make("p", "about", one.about));
      add(list, add(make("li"), add(label, box, text)));
    });
    put(by("review-title"), plugin.label + (upgraded ? " is upgraded" : " is installed"));
    put(by("review-about"), (upgraded ? "It is off. " : "It is off until you switch it on. ") +
      (missing ? "It asks for more than it was granted. Grant what you agree with; " +
      "without all of it it does not run. Once it is on, it may do this:" :
      list.firstChild ? "It asks for nothing more than it may do already:" :
      "It may do nothing but compute and answer."));
    put(by("review-start"), missing ? "Grant what is marked and switch on" : "Switch on");
    by("review").hidden = false;
    by("review-title").focus();
    by("review").scrollIntoView();
  }

  function leave() {
    by("review").hidden = true;
    reviewing = null;
    by("file").focus();
  }

  function begin() {
    var plugin = reviewing.plugin;
    var wanted = reviewing.boxes.filter(function (box) { return box.checked; })
      .map(function (box) { return box.value; });
    function next() {
      var name = wanted.shift();
      var what = name ? "grant" : "enable";
      request("POST", "/admin/plugins/" + plugin.link + "/" + what,
        name ? { capability: name } : {}, function (error) {
          if (error) { complain(error); } else if (name) { next(); return; }
          if (!error) { say(plugin.label + " is on."); leave(); }
          refresh();
        });
    }
    next();
  }

  function dropped(event) {
    var files = event.dataTransfer && event.dataTransfer.files;
    event.preventDefault();
    document.body.className = "";
    if (!session.operator || !session.installs) {
      complain("Sign in as the operator to install plugins.");
    } else if (files && files.length) {
      upload(files[0]);
    }
  }

  // ------------------------------------------------------------------ settings and the server

  var FIELDS = [
    ["Video", "Folder of films"], ["Music", "Folder of music"], ["Photo", "Folder of photos"],
    ["TorrServer", "TorrServer, as host:port"], ["Language", "Language: the name of a dictionary"],
    ["VideoWall", "Film behind the menu", ["none", "1", "2", "3", "4", "5", "6"]],
    ["FFstream", "Port of FFstream, for scripts"], ["Background", "Background, for scripts"]
  ];

  var saved = {};

  function showSettings(values) {
    var root = by("settings-fields");
    saved = values;
    empty(root);
    FIELDS.forEach(function (field) {
      var label = make("label", "", field[1]);
      var node = make(field[2] ? "select" : "input");
      node.id = label.htmlFor = "set-" + field[0];
      if (field[2]) {
        field[2].forEach(function (text, index) {
          var option = make("option", "", text);
          option.value = String(index);
          add(node, option);
        });
      } else {
        node.type = "text";
        node.autocomplete = "off";
        node.spellcheck = false;
      }
      add(root, label, node);
      node.value = String(values[field[0]]);
    });
  }

  function saveSettings(event) {
    var values = {};
    event.preventDefault();
    FIELDS.forEach(function (field) {
      var value = by("set-" + field[0]).value;
      value = field[2] ? parseInt(value, 10) : value.trim();
      // What somebody else has set meanwhile stays, and so does a folder whose disk is away.
      if (value !== saved[field[0]]) { values[field[0]] = value; }
    });
    request("POST", "/admin/settings", values, function (error, now) {
      if (!error) { saved = now; }
      announce(error, "The settings are saved.");
    });
  }

  function loadLog() {
    request("GET", "/admin/log", null, function (error, data) {
      if (!error) { showLog(by("server-log"), data.log); }
    });
  }

  function restart() {
    request("GET", "/restart", null, function (error) {
      announce(error, "The server restarts.");
    });
  }

  // ------------------------------------------------------------------ operators

  function signIn(token) {
    request("POST", "/admin/login", { token: token }, function (error) {
      by("token").value = "";
      announce(error, "You are the operator now.");
      if (!error) { start(); } else { by("token").focus(); }
    });
  }

  function showSession() {
    var on = session.operator;
    put(by("who"), on ? "You are the operator" : "For everyone to see");
    by("login").hidden = on;
    by("install").hidden = !(on && session.installs);
    by("settings").hidden = by("server").hidden = !on;
    by("restart").hidden = !session.restarts;
    by("logout").hidden = !session.signed_in;
    put(by("version"), session.name ? session.name + " " + session.version : "");
    if (!on) { by("review").hidden = true; reviewing = null; by("server-log").hidden = true; }
  }

  function start(done) {
    request("GET", "/admin/session", null, function (error, data) {
      if (error) { complain(error); } else { session = data; showSession(); }
      if (session.operator) {
        request("GET", "/admin/settings", null, function (failed, values) {
          if (!failed) { showSettings(values); }
        });
      }
      if (!error) { refresh(done); } else if (typeof done === "function") { done(); }
    });
  }

  // ------------------------------------------------------------------ arrow keys

  var ARROWS = { 37: "left", 38: "up", 39: "right", 40: "down" };
  var BACK = { 27: true, 461: true, 10009: true }; // Escape, and "back" of two makers

  function targets() {
    var all = document.querySelectorAll("a[href], button, input, select, [tabindex='0']");
    return Array.prototype.filter.call(all, function (node) {
      return !node.disabled && place(node).width > 0 && place(node).height > 0 &&
        (node.offsetWidth || node.offsetHeight);
    });
  }

  function place(node) {
    // The field of files is hidden behind its label, which is what one sees and presses.
    return (node.id === "file" ? node.nextElementSibling : node).getBoundingClientRect();
  }

  function distance(from, to, way) {
    var along, across;
    var upright = way === "up" || way === "down";
    if (way === "down") { along = to.top - from.bottom; }
    if (way === "up") { along = from.top - to.bottom; }
    if (way === "right") { along = to.left - from.right; }
    if (way === "left") { along = from.left - to.right; }
    if (along < -6) { return -1; }
    if (upright) {
      across = Math.max(0, to.left - from.right, from.left - to.right);
      across += Math.abs(to.left - from.left) / 100;
    } else {
      across = Math.max(0, to.top - from.bottom, from.top - to.bottom);
      if (across > 0) { return -1; } // to the side means in the same row
    }
    return Math.max(0, along) * (upright ? 4 : 1) + across;
  }

  function stays(node, way) {
    // In a field the keys move the cursor, in a list they choose, in a log they scroll.
    var kind = (node.type || "").toLowerCase();
    var upright = way === "up" || way === "down";
    if (node.tagName === "SELECT") { return upright; }
    if (node.tagName === "INPUT" && (kind === "text" || kind === "password")) { return !upright; }
    if (node.className === "log") {
      return (way === "up" && node.scrollTop > 0) ||
        (way === "down" && node.scrollTop + node.clientHeight < node.scrollHeight - 1);
    }
    return false;
  }

  function move(way, event) {
    var now = document.activeElement;
    var all = targets();
    var best = null;
    var least = Infinity;
    if (!now || now === document.body || all.indexOf(now) < 0) {
      best = all[0];
      if (now && now.id === "review-title") { best = by("review").querySelector("input, button"); }
    } else {
      if (stays(now, way)) { return; }
      all.forEach(function (node) {
        var far = node === now ? -1 : distance(place(now), place(node), way);
        if (far >= 0 && far < least) { least = far; best = node; }
      });
    }
    if (best) {
      event.preventDefault();
      best.focus();
      if (best.id === "file") { best.nextElementSibling.scrollIntoView(false); }
    }
  }

  function back() {
    var now = document.activeElement;
    var sure = document.querySelectorAll(".confirm:not([hidden])");
    if (sure.length) { sure[0].closeIt(); return true; }
    if (reviewing) { leave(); return true; }
    return Object.keys(cards).some(function (link) {
      var view = cards[link];
      if (view.open && view.root.contains(now)) { view.toggle(false); return true; }
      return false;
    });
  }

  // ------------------------------------------------------------------ the beginning

  var shown = /(?:^\?|&)token=([A-Za-z0-9_-]+)/.exec(location.search);
  if (/[?&]tv\b/.test(location.search) ||
      /\b(SMART-?TV|SmartTV|Tizen|Web0S|webOS|NetCast|HbbTV|BRAVIA|VIDAA|AFT[A-Z]|CrKey|GoogleTV|Android TV|Roku)/i
        .test(navigator.userAgent)) {
    document.documentElement.className = "tv";
  }
  by("plugins-title").tabIndex = -1;

  document.addEventListener("keydown", function (event) {
    var way = ARROWS[event.keyCode];
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) { return; }
    if (way) { move(way, event); } else if (BACK[event.keyCode] && back()) { event.preventDefault(); }
  });
  document.addEventListener("dragover", function (event) {
    event.preventDefault();
    document.body.className = "dropping";
  });
  document.addEventListener("dragleave", function (event) {
    if (!event.relatedTarget) { document.body.className = ""; }
  });
  document.addEventListener("drop", dropped);
  by("file").addEventListener("change", function () {
    if (by("file").files.length) { upload(by("file").files[0]); }
  });
  by("review-start").addEventListener("click", begin);
  by("review-leave").addEventListener("click", leave);
  by("login-form").addEventListener("submit", function (event) {
    event.preventDefault();
    signIn(by("token").value.trim());
  });
  by("settings-form").addEventListener("submit", saveSettings);
  by("show-log").addEventListener("click", function () {
    var hidden = !by("server-log").hidden;
    by("server-log").hidden = hidden;
    by("show-log").setAttribute("aria-expanded", String(!hidden));
    if (!hidden) { loadLog(); }
  });
  by("restart").addEventListener("click", restart);
  by("logout").addEventListener("click", function () {
    request("POST", "/admin/logout", {}, function (error) {
      announce(error, "You are signed out.");
      start();
    });
  });
  if (shown) {
    // A token in the address would stay in the history of the browser.
    if (history.replaceState) { history.replaceState(null, "", location.pathname); }
    signIn(shown[1]);
  }
  start(poll);
}());
