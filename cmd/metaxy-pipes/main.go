// Metaxy-pipes is the runner without compiled-in processors: run takes the command of an external one.
package main

import metaxy "github.com/metaxy-pipes/metaxy-pipes"

func main() { metaxy.Main() }
