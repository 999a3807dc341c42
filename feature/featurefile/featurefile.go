// Package featurefile reads feature definitions from YAML and JSON files.
package featurefile

import "github.com/metaxy-pipes/metaxy-pipes/feature"

// Parse reads the features of one file; name is for messages and its extension tells the format.
func Parse(name string, data []byte) ([]feature.Definition, error) { panic("unfinished") }

// Load reads files and folders of them.
func Load(paths ...string) ([]feature.Definition, error) { panic("unfinished") }
