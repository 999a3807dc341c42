// Words counts the words of books: a Go step between two Python steps of a Metaxy project.
package main

import (
	"context"
	"strings"
	"unicode/utf8"

	metaxy "github.com/metaxy-pipes/metaxy-pipes"
)

type book struct {
	Text string `arrow:"text"`
}

type words struct {
	Words   int64  `arrow:"words"`
	Longest string `arrow:"longest"`
}

func count(_ context.Context, b book) (words, error) {
	all := strings.Fields(b.Text)
	w := words{Words: int64(len(all))}
	for _, word := range all {
		if utf8.RuneCountInString(word) > utf8.RuneCountInString(w.Longest) {
			w.Longest = word
		}
	}
	return w, nil
}

func main() {
	metaxy.Main(metaxy.Step{Feature: "library/words", Process: metaxy.Each(count)})
}
