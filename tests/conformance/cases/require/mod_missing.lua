module:require "nolib"
