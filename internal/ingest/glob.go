package ingest

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"
)

const wildcards = "*?["

// isPattern reports whether a location has wildcards. A file or folder of that very name is no pattern.
func isPattern(from string) bool {
	if !strings.ContainsAny(from, wildcards) {
		return false
	}
	_, err := os.Stat(from)
	return err != nil
}

func isFolder(from string) bool {
	if strings.HasPrefix(from, "s3://") {
		return strings.HasSuffix(from, "/")
	}
	info, err := os.Stat(strings.TrimPrefix(from, "file://"))
	return err == nil && info.IsDir()
}

// splitPattern cuts a pattern into the folder above the first wildcard, which ends in a slash unless it is empty, and
// the rest.
func splitPattern(from string) (folder, pattern string) {
	first := strings.IndexAny(from, wildcards)
	if first < 0 {
		return from, ""
	}
	cut := strings.LastIndexByte(from[:first], '/') + 1
	return from[:cut], from[cut:]
}

// compilePattern translates a pattern: * and ? do not match a slash, ** matches folders of any depth, [a-z] one character.
func compilePattern(pattern string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`\A`)
	for i := 0; i < len(pattern); i++ {
		c, size := utf8.DecodeRuneInString(pattern[i:])
		switch {
		case strings.HasPrefix(pattern[i:], "**/"):
			b.WriteString(`(?:.*/)?`)
			i += 2
		case strings.HasPrefix(pattern[i:], "**"):
			b.WriteString(`.*`)
			i++
		case c == '*':
			b.WriteString(`[^/]*`)
		case c == '?':
			b.WriteString(`[^/]`)
		case c == '[':
			end := strings.IndexByte(pattern[i:], ']')
			if end < 0 {
				return nil, fmt.Errorf("%w: --from: the pattern %q has a [ without ]", ErrSetup, pattern)
			}
			set := pattern[i+1 : i+end]
			if strings.HasPrefix(set, "!") {
				set = "^" + set[1:]
			}
			b.WriteString("[" + strings.ReplaceAll(set, `\`, `\\`) + "]")
			i += end
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
			i += size - 1
		}
	}
	re, err := regexp.Compile("(?s)" + b.String() + `\z`)
	if err != nil {
		return nil, fmt.Errorf("%w: --from: the pattern %q: %w", ErrSetup, pattern, err)
	}
	return re, nil
}
