package config

import (
	"strconv"
	"strings"
)

// readPipes reads [ext.metaxy_pipes].
func readPipes(s *section) Pipes {
	s.boolean("enable") // every plugin of Metaxy has it
	p := Pipes{
		Features:      s.listOrOne("features"),
		Concurrency:   int(s.integer("concurrency", 1)),
		BatchSize:     int(s.integer("batch_size", 1)),
		Retries:       int(s.integer("retries", 0)),
		FlushRows:     s.integer("flush_rows", 1),
		FlushInterval: s.duration("flush_interval"),
		SampleTimeout: s.duration("sample_timeout"),
		Grace:         s.duration("grace"),
		MaxFailed:     maxFailed(s),
		Orphaned:      s.text("orphaned"),
		ProcessorEnv:  s.listOrOne("processor_env"),

		MaterializationID: s.text("materialization_id"),
		Channel:           s.text("pipes_channel"),
	}
	if p.Orphaned != "" && p.Orphaned != "keep" && p.Orphaned != "delete" {
		s.fail("orphaned", `expected "keep" or "delete"`)
	}
	switch p.Channel {
	case "", "s3", "dbfs", "volumes":
	default:
		s.fail("pipes_channel", `expected "s3", "dbfs" or "volumes"; without it messages go where Dagster's payload says`)
	}
	s.finish()
	return p
}

// maxFailed reads a count or a share; the flag of the same name checks the text.
func maxFailed(s *section) string {
	v, ok := s.take("max_failed")
	if !ok {
		return ""
	}
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case string:
		return strings.TrimSpace(v)
	}
	s.fail("max_failed", `expected a count such as 10 or a share such as "5%%"`)
	return ""
}
