package lab

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// hostMirror returns the mirror that the host's own apt fetches Debian from: it is near, and where there is no way to any other it is
// the one that works. It returns nothing on hosts that are not Debian or whose sources name no mirror over HTTP.
func hostMirror(root string) string {
	codename := osRelease(root)["VERSION_CODENAME"]
	if osRelease(root)["ID"] != "debian" || codename == "" {
		return ""
	}
	files, _ := filepath.Glob(filepath.Join(root, "etc/apt/sources.list.d/*"))
	for _, file := range append([]string{filepath.Join(root, "etc/apt/sources.list")}, files...) {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		var m string
		switch filepath.Ext(file) {
		case ".sources":
			m = mirrorInSources(string(b), codename)
		case ".list":
			m = mirrorInList(string(b), codename)
		}
		if m != "" {
			return m
		}
	}
	return ""
}

// mirrorInSources reads apt's deb822 format: stanzas of "Field: value", separated by empty lines.
func mirrorInSources(text, codename string) string {
	stanza := map[string][]string{}
	for line := range strings.Lines(text + "\n\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			if slices.Contains(stanza["suites"], codename) && !slices.Contains(stanza["enabled"], "no") {
				if i := slices.IndexFunc(stanza["uris"], overHTTP); i >= 0 {
					return stanza["uris"][i]
				}
			}
			stanza = map[string][]string{}
			continue
		}
		if field, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
			stanza[strings.ToLower(field)] = strings.Fields(value)
		}
	}
	return ""
}

// mirrorInList reads apt's one-line format: "deb [options] URI SUITE COMPONENT...".
func mirrorInList(text, codename string) string {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "deb" {
			continue
		}
		f = f[1:]
		if strings.HasPrefix(f[0], "[") {
			end := slices.IndexFunc(f, func(s string) bool { return strings.HasSuffix(s, "]") })
			f = f[end+1:]
		}
		if len(f) >= 2 && f[1] == codename && overHTTP(f[0]) {
			return f[0]
		}
	}
	return ""
}

// overHTTP leaves out what only the host can resolve, such as mirror lists in files and CD-ROMs.
func overHTTP(uri string) bool {
	return strings.HasPrefix(uri, "http://") || strings.HasPrefix(uri, "https://")
}

func osRelease(root string) map[string]string {
	b, _ := os.ReadFile(filepath.Join(root, "etc/os-release"))
	m := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			m[k] = strings.Trim(v, `"`)
		}
	}
	return m
}
