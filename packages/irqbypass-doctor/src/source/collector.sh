#!/bin/sh
# Collects what `irqbypass-doctor --from FILE` needs, on a host without Node. Reads files under /proc, /sys and /etc, the
# counters twice; changes nothing and writes only the archive, and until that is whole a directory of its own beside it.
# Needs a POSIX shell with awk, cat, date, grep, head, id, ln, ls, mktemp, od, readlink, sed, sort, tar, tr and wc.
#
# It runs as root on hosts with other users, so: no path is made of a name that another may have chosen (paths are fixed
# words, numbers, PCI addresses, and names of the kernel's that have no odd character); what links point to is written
# down as text and never made a link again; pipes and devices are not opened; every file is bounded; all is written in a
# fresh directory of this user's own that was entered first, by names relative to it.
set -u
LC_ALL=C
export LC_ALL
umask 077

usage() {
  cat <<'EOF'
usage: sh collector.sh [--interval SECONDS] [--output FILE.tar] [--raw] [--root DIR]

  --interval  time between the two samples; 2 if not given
  --output    the archive to write; irqbypass-capture-TIME.tar if not given
  --raw       do not mask command lines, names and paths of files
  --root      read a host that is mounted here, such as /host in a container

Then, where Node is: irqbypass-doctor --from FILE.tar
EOF
}

fail() {
  printf 'collector: %s\n' "$1" >&2
  exit 2
}

interval=2 output= masked=yes root=
while [ $# -gt 0 ]; do
  case $1 in
    --interval | --output | --root) [ $# -ge 2 ] || fail "$1 needs a value" ;;
  esac
  case $1 in
    --interval) interval=$2; shift 2 ;;
    --output) output=$2; shift 2 ;;
    --root) root=${2%/}; shift 2 ;;
    --raw) masked=no; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; fail "unknown option: $1" ;;
  esac
done
# Whole seconds: a fraction is not for every sleep.
case $interval in
  '' | *[!0-9]* | 0*) fail "--interval takes whole seconds from 1 on, not '$interval'" ;;
esac
[ -r "$root/proc/sys/kernel/osrelease" ] || fail "$root/proc/sys/kernel/osrelease cannot be read: is this a Linux host with /proc?"
for tool in awk cat date grep head id ln ls mktemp od readlink sed sort tar tr wc; do
  command -v "$tool" >/dev/null || fail "this host has no $tool"
done

# Another directory is entered below. "" is this host.
case $root in '' | /*) ;; *) root=$PWD/$root ;; esac

name=irqbypass-capture-$(date -u +%Y%m%d-%H%M%S)
[ -n "$output" ] || output=$name.tar
{ [ ! -e "$output" ] && [ ! -h "$output" ]; } || fail "$output is there already: name another file with --output"
base=${output##*/}
base=${base%.tar}
case $base in
  '' | -* | .*) fail "--output must name a file such as case-1.tar" ;;
esac

archive=${output##*/}
beside=.
case $output in */*) beside=${output%/*}/ ;; esac
CDPATH='' cd -P -- "$beside" || fail "$beside cannot be entered: name another place with --output"
work=$(mktemp -d ./.irqbypass-collector.XXXXXXXX) || fail "no directory can be made in $beside: name another place with --output"
CDPATH='' cd -P -- "$work" || fail "$work cannot be entered"
# Whoever owns the directory above may have put another one in its place: what was entered must be empty and ours alone.
# shellcheck disable=SC2012
owned=$(ls -ldn . | awk '{ print substr($1, 1, 10), $3 }')
[ "$owned" = "drwx------ $(id -u)" ] && [ -z "$(ls -A)" ] || fail "another user changes $beside: name another place with --output"
keep=no
clean() {
  [ "$keep" = no ] || return 0
  rm -rf -- "./$base" ./scratch ./errors ./names ./raw ./fds ./eventfds ./irqs ./addresses ./bound ./archive.tar
  cd .. && rmdir -- "$work" 2>/dev/null
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
tree=./$base
mkdir "$tree" "$tree/1" "$tree/2"
: >"$tree/unreadable"
: >"$tree/links"
scratch=./scratch
errors=./errors
# Bytes of one file, of one of a process, and of all those of processes: their sizes are others' choice.
most=268435456
most_own=1048576
most_together=268435456
together=0

# refused SAMPLE/PATH: a read failed and its message is in $errors. What is not there is no finding.
refused() {
  case $(cat "$errors") in
    *'ermission denied'*) code=EACCES ;;
    *'peration not permitted'*) code=EPERM ;;
    *'o such '* | *'ot a directory'*) return 0 ;;
    *) code=EIO ;;
  esac
  printf '%s %s\n' "$code" "$1" >>"$tree/unreadable"
}

# under SAMPLE PATH: makes the directories above a file that is there; they come with it, being evidence themselves.
under() {
  [ -d "$tree/$1/${2%/*}" ] || mkdir -p "$tree/$1/${2%/*}"
}

# absent PATH: it is not there, and that is known because the directories above it are open as far as they go.
absent() {
  [ ! -e "$root/$1" ] || return 1
  above=${1%/*}
  while [ ! -e "$root/$above" ] && [ "$above" != "${above%/*}" ]; do above=${above%/*}; done
  [ -x "$root/$above" ]
}

# within DIR: below --root it is a directory that no link leads out to.
within() {
  [ -n "$root" ] || return 0
  top=$(CDPATH='' cd -P -- "$root" && pwd -P)
  case $(CDPATH='' cd -P -- "$root/$1" 2>/dev/null && pwd -P) in
    '') ls "$root/$1" >/dev/null 2>"$errors"; return 1 ;;
    "$top" | "$top"/*) return 0 ;;
    *) : >"$errors"; return 1 ;;
  esac
}

# plain PATH: it is a regular file, and below --root no link and reached by none that leads out.
plain() {
  [ -f "$root/$1" ] || return 1
  [ -n "$root" ] || return 0
  [ ! -h "$root/$1" ] && within "${1%/*}"
}

# copy PATH TO MOST: at most so many bytes of a file.
copy() {
  head -c "$3" "$root/$1" >"$2" 2>"$errors"
}

# save SAMPLE PATH...: copies files as they are. A host may have thousands, so that tests go before programs.
save() {
  sample=$1
  shift
  for path in "$@"; do
    limit=$most
    case $path in proc/[0-9]*) limit=$most_own ;; esac
    if [ -r "$root/$path" ] && plain "$path"; then
      under "$sample" "$path"
      if copy "$path" "$tree/$sample/$path" "$limit"; then
        case $path in
          proc/[0-9]*)
            size=$(wc -c <"$tree/$sample/$path")
            together=$((together + size))
            [ "$together" -lt "$most_together" ] || fail "the processes that hold a VM have more to read than $most_together bytes: no host's have"
            ;;
        esac
        continue
      fi
      rm -f "$tree/$sample/$path"
    elif absent "$path"; then
      continue
    elif [ -e "$root/$path" ] && ! plain "$path"; then
      printf 'EINVAL %s\n' "$sample/$path" >>"$tree/unreadable"
      continue
    else
      copy "$path" "$scratch" "$limit" && continue
    fi
    refused "$sample/$path"
  done
}

# names SAMPLE PATH: keeps the names in a directory as empty directories; prints them. Those with odd characters stay out.
names() {
  if within "$2" && ls "$root/$2" >./raw 2>"$errors"; then
    mkdir -p "$tree/$1/$2"
    grep -E '^[[:alnum:]_][][[:alnum:]_.:,@+=-]{0,127}$' ./raw | head -n 131072 >./names
    while IFS= read -r entry; do
      [ -d "$tree/$1/$2/$entry" ] || mkdir "$tree/$1/$2/$entry"
    done <./names
    cat ./names
  else
    refused "$1/$2"
  fi
}

newline='
'

# target PATH: what a link points to, into $target; fails if it is none.
target() {
  within "${1%/*}" || return 1
  target=$(readlink "$root/$1" 2>"$errors" && printf .) || return 1
  target=${target%"$newline".}
}

# link SAMPLE PATH TARGET: keeps what a link points to as text: each byte as %XX if there is an odd one.
link() {
  under "$1" "$2"
  case $3 in
    *[!][A-Za-z0-9_./:,=+@\(\)-]*) odd=$(printf '%s' "$3" | od -An -v -tx1 | tr -d '\n' | sed 's/ /%/g') ;;
    *) odd=$3 ;;
  esac
  printf '%s %s\n' "$1/$2" "$odd" >>"$tree/links"
}

# copy_link SAMPLE PATH: keeps the link that is there, if there is one.
copy_link() {
  target=
  if [ -h "$root/$2" ] && target "$2"; then
    link "$1" "$2" "$target"
  elif ! ls -ld "$root/$2" >/dev/null 2>"$errors"; then
    refused "$1/$2"
  fi
}

# The words of the kernel's command line that bear on interrupts; the others are masked.
kernel_words='^(intremap|nointremap|intel_iommu|amd_iommu|amd_iommu_intr|iommu|iommu\.[[:alnum:]_]+|nox2apic|noapic|nolapic|disableapic|nosmp|maxcpus|acpi|pci|x2apic_phys|kvm[-_.a-z]*\.[[:alnum:]_]+|vfio[-_.a-z]*\.[[:alnum:]_]+|isolcpus|nohz_full)(=|$)'

# What is kept of a word that shows the boot loader, and which parts of a VMM's words are kept.
boot_words='^(BOOT_IMAGE=|initrd=\\|ostree=)'
vmm_parts='^(--?(machine|M|accel|enable-kvm|global|device|irqchip|split-irqchip)|(accel=)?(kvm|tcg|xen)(:(kvm|tcg|xen))*|kernel[-_]irqchip=[[:alnum:]_]+|(driver=)?vfio-pci[-[:alnum:]_]*(\.x-no-kvm-msix?(=[[:alnum:]_]+)?)?|(property=)?x-no-kvm-msix?(=[[:alnum:]_]+)?|value=(on|off|yes|no|true|false|y|n)|(host=|sysfsdev=[/]sys[/]bus[/]pci[/]devices[/])([0-9a-f]+:)?[0-9a-f][0-9a-f]?:[0-9a-f][0-9a-f]?\.[0-7]|(--irqchip=)?(kernel|split|userspace)|"(driver|host|x-no-kvm-msix?)":("(vfio-pci[-[:alnum:]_]*|on|off|([0-9a-f]+:)?[0-9a-f][0-9a-f]?:[0-9a-f][0-9a-f]?\.[0-7])"|true|false))$'

kernel_command_line() {
  if [ "$masked" = no ]; then
    save 1 proc/cmdline
  elif plain proc/cmdline && copy proc/cmdline ./raw "$most_own"; then
    under 1 proc/cmdline
    # By the environment, because awk takes the backslashes out of a -v value.
    tr -s '[:space:]' '\n' <./raw | words=$kernel_words boot=$boot_words awk '
      $0 == "" { next }
      $0 !~ ENVIRON["words"] { $0 = (match($0, ENVIRON["boot"]) ? substr($0, 1, RLENGTH) : "") "masked" }
      { line = line (line == "" ? "" : " ") $0 }
      END { print line }' >"$tree/1/proc/cmdline"
  else
    refused 1/proc/cmdline
  fi
}

# libvirt_log PID: what libvirt logged of a guest whose command line shows no options. Only raw, for its name is there.
libvirt_log() {
  [ "$(tr '\0' '\n' <"$tree/1/proc/$1/cmdline" 2>/dev/null | grep -c '[^[:space:]]')" -le 1 ] || return 0
  for file in "$root"/run/libvirt/qemu/*.pid; do
    guest=${file##*/}
    # The name of a guest, which its owner chose: only a plain one, and no link.
    case $guest in -* | .* | *[!A-Za-z0-9_.-]*) continue ;; esac
    [ -r "$file" ] && [ ! -h "$file" ] && plain "run/libvirt/qemu/$guest" || continue
    [ ! -h "$root/var/log/libvirt/qemu/${guest%.pid}.log" ] || continue
    [ "$(head -c 32 "$file" | tr -d '[:space:]')" = "$1" ] || continue
    save 1 "run/libvirt/qemu/$guest" "var/log/libvirt/qemu/${guest%.pid}.log"
  done
}

# program PID: the command line and the name of a process.
program() {
  if [ "$masked" = no ]; then
    save 1 "proc/$1/cmdline" "proc/$1/comm"
    libvirt_log "$1"
    return 0
  fi
  if plain "proc/$1/cmdline" && copy "proc/$1/cmdline" ./raw "$most_own"; then
    under 1 "proc/$1/cmdline"
    tr '\0' '\n' <./raw | parts=$vmm_parts awk '
      NR == 1 { sub(/.*\//, ""); print; next }
      {
        json = ($0 ~ /^[{].*[}]$/)
        count = split(json ? substr($0, 2, length($0) - 2) : $0, part, ",")
        line = ""
        for (i = 1; i <= count; i++) {
          if (part[i] !~ ENVIRON["parts"] && (json || part[i] != ""))
            part[i] = json ? "\"masked\":0" : (index(part[i], "/libvirt/") ? "/libvirt/masked" : "masked")
          line = line (i == 1 ? "" : ",") part[i]
        }
        print json ? "{" line "}" : line
      }' | tr '\n' '\0' >"$tree/1/proc/$1/cmdline"
  else
    refused "1/proc/$1/cmdline"
  fi
  under 1 "proc/$1/comm"
  printf 'masked\n' >"$tree/1/proc/$1/comm"
}

# started PID: when the process began, by which it is told from another that gets its number.
started() {
  plain "proc/$1/stat" && copy "proc/$1/stat" "$scratch" 4096 || return 0
  # Its name stands in brackets and may hold anything; what follows the last bracket are numbers.
  tr '\n' ' ' <"$scratch" | sed 's/.*) //' | awk '{ print $20 }'
}

# processes: those that hold a VM or an assigned device, with their descriptors. Prints PID/FD/STARTED of each eventfd.
processes() {
  for dir in "$root"/proc/[0-9]*; do
    pid=${dir##*/}
    case $pid in *[!0-9]* | ???????????*) continue ;; esac
    # Which processes to look into. Names that their owners chose may stand in it, so that nothing else is taken from it.
    # One that was closed meanwhile is no matter; with one right of two they are listed, and where they lead is not.
    ls -l "$dir/fd" >./fds 2>"$errors" || { [ -s ./fds ] && ! grep -q 'ermission denied' "$errors"; } || {
      # A thread of the kernel has no command line and holds nothing.
      if [ -r "$dir/cmdline" ] && plain "proc/$pid/cmdline" && [ -z "$(head -c 1 "$dir/cmdline" | tr -d '\0')" ]; then continue; fi
      before=$(wc -l <"$tree/unreadable")
      refused "1/proc/$pid/fd"
      # With its name, so that the doctor counts it as one that it could not look into.
      [ "$before" -eq "$(wc -l <"$tree/unreadable")" ] || mkdir -p "$tree/1/proc/$pid"
      continue
    }
    grep -E -q -e ' -> (anon_inode:(kvm-vm|\[vfio-device\])$|/dev/vfio/[^v]|/dev/vfio/devices/|/dev/vhost-vdpa-)' ./fds || continue
    began_at=$(started "$pid")
    # Each by its number, and what it is by its own link.
    for full in "$dir"/fd/[0-9]*; do
      fd=${full##*/}
      case $fd in *[!0-9]* | ????????*) continue ;; esac
      target "proc/$pid/fd/$fd" || continue
      case $target in
        'anon_inode:[eventfd]' | anon_inode:eventfd)
          save 1 "proc/$pid/fdinfo/$fd"
          printf '%s/%s/%s\n' "$pid" "$fd" "$began_at"
          ;;
        'anon_inode:[eventpoll]' | 'anon_inode:[vfio-device]' | /dev/vfio/devices/*) save 1 "proc/$pid/fdinfo/$fd" ;;
      esac
      if [ "$masked" = yes ]; then
        case $target in
          anon_inode:* | /dev/kvm* | /dev/vfio/* | /dev/vhost-*) ;;
          *) target=masked ;;
        esac
      fi
      link 1 "proc/$pid/fd/$fd" "$target"
    done
    grep -E -q "^1/proc/$pid/fd/[0-9]+ (anon_inode:(kvm-vm|\[vfio-device\])|/dev/vfio/|/dev/vhost-vdpa-)" "$tree/links" || {
      # It only looked like one.
      forget "$pid"
      continue
    }
    program "$pid"
    names 1 "proc/$pid/task" >/dev/null
    # Another that got its number meanwhile is not the one that was looked into.
    [ "$began_at" = "$(started "$pid")" ] || forget "$pid"
  done
}

# forget PID: takes away what was kept of a process.
forget() {
  rm -rf -- "$tree/1/proc/$1"
  grep -v "^1/proc/$1/" "$tree/links" >"$scratch"
  cat "$scratch" >"$tree/links"
}

# assigned_lines: the lines of the first sample's interrupts that belong to assigned devices.
assigned_lines() {
  [ ! -f "$tree/1/proc/interrupts" ] || grep -E 'vfio-|vdpa\[|ifcvf\[|snet\[|-vq-[0-9]|vdpa-' "$tree/1/proc/interrupts"
}

addresses_in() {
  tr -c '0-9a-f:.\n' '\n' | grep -E '^[0-9a-f]{4,8}:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]\.[0-7]$'
}

# device SAMPLE DIR: the driver and the IOMMU group of a device; a group has a name only where VFIO made it.
device() {
  copy_link "$1" "$2/driver"
  copy_link "$1" "$2/iommu_group"
  group=${target##*/}
  case $group in '' | *[!0-9]* | ???????????*) return 0 ;; esac
  save "$1" "sys/kernel/iommu_groups/$group/name"
}

# other_buses: what VFIO holds on buses beside PCI, and the vDPA devices.
other_buses() {
  for bus in platform amba fsl-mc cdx; do
    [ -d "$root/sys/bus/$bus/drivers" ] || continue
    names 1 "sys/bus/$bus/drivers" | grep vfio | while IFS= read -r driver; do
      names 1 "sys/bus/$bus/drivers/$driver" >"./bound"
      while IFS= read -r bound; do
        [ -d "$root/sys/bus/$bus/devices/$bound" ] || continue
        mkdir -p "$tree/1/sys/bus/$bus/devices/$bound"
        device 1 "sys/bus/$bus/devices/$bound"
      done <"./bound"
    done
  done
  [ -d "$root/sys/bus/vdpa/devices" ] || return 0
  names 1 sys/bus/vdpa/devices | while IFS= read -r part; do
    names 1 "sys/bus/vdpa/devices/$part" | grep '^vhost-vdpa-' | while IFS= read -r node; do
      save 1 "sys/bus/vdpa/devices/$part/$node/dev"
      number=$(head -c 32 "$tree/1/sys/bus/vdpa/devices/$part/$node/dev" 2>/dev/null)
      case $number in *[!0-9:]* | *:*:* | '') ;; *:*) copy_link 1 "sys/dev/char/$number" ;; esac
    done
  done
}

# devices: assigned PCI devices, by their drivers and by the names of their interrupts.
devices() {
  {
    assigned_lines | addresses_in
    names 1 sys/bus/pci/drivers | grep -E 'vfio|vdpa|ifcvf' | while IFS= read -r driver; do
      names 1 "sys/bus/pci/drivers/$driver" | addresses_in
    done
  } | sort -u >"./addresses"
  # Two may differ in their domain alone.
  names 1 sys/bus/pci/devices >/dev/null
  while IFS= read -r address; do
    dir=sys/bus/pci/devices/$address
    device 1 "$dir"
    names 1 "$dir/msi_irqs" >/dev/null
    names 1 "$dir/vfio-dev" >/dev/null
    for child in "$root/$dir"/vdpa[0-9]*; do
      [ -e "$child" ] || continue
      case ${child##*/} in *[!A-Za-z0-9_.-]*) continue ;; esac
      mkdir -p "$tree/1/$dir/${child##*/}"
    done
  done <"./addresses"
}

# lines_of PATH PATTERN: keeps a file; masked, only the lines that match, with those that go on joined.
lines_of() {
  if [ "$masked" = no ]; then
    save 1 "$1"
  elif [ -r "$root/$1" ] && plain "$1"; then
    under 1 "$1"
    pattern=$2 awk '
      /\\$/ { held = held substr($0, 1, length($0) - 1) " "; next }
      { $0 = held $0; held = "" }
      $0 ~ ENVIRON["pattern"] { print }
      END { if (held ~ ENVIRON["pattern"]) print held }' "$root/$1" >"$tree/1/$1"
  fi
}

# boot: how the host is booted and KVM's modules loaded, for advice that fits it.
boot() {
  lines_of etc/os-release '^ID(_LIKE)?='
  names 1 etc/kernel >/dev/null
  for file in "$root"/etc/modprobe.d/*.conf; do
    case ${file##*/} in *[!A-Za-z0-9_.-]*) continue ;; esac
    [ -r "$file" ] && plain "etc/modprobe.d/${file##*/}" && grep -q kvm "$file" || continue
    lines_of "etc/modprobe.d/${file##*/}" '^[ \t]*options[ \t]+kvm'
  done
}

uptime_now() {
  awk '{ print $1 }' "$root/proc/uptime" 2>/dev/null || echo 0
}

cat >&2 <<'EOF'
collector: what each source needs; what needs more than there is stays out:
@RIGHTS@
EOF
[ "$(id -u)" = 0 ] || printf 'collector: not root: other users'"'"' processes and /sys/kernel/debug stay out\n' >&2

began=$(uptime_now)
save 1 proc/interrupts
assigned_lines | awk '{ sub(/:.*/, ""); gsub(/ /, ""); if ($0 ~ /^[0-9]+$/) print }' >"./irqs"
while IFS= read -r irq; do
  save 1 "sys/kernel/irq/$irq/per_cpu_count" "sys/kernel/irq/$irq/chip_name" "sys/kernel/irq/$irq/actions" \
    "sys/kernel/debug/irq/irqs/$irq"
done <"./irqs"
processes >"./eventfds"

# Whether /proc lists every process.
lines_of proc/self/mountinfo ' - proc '
[ -r "$root/proc/self/mountinfo" ] || lines_of proc/self/mounts '^[^ ]* [^ ]+ proc '
lines_of proc/self/status '^(Gid|Groups|CapEff):'
copy_link 1 proc/self/ns/pid
copy_link 1 proc/self/ns/user
[ "$(cat "$root/proc/2/comm" 2>/dev/null)" != kthreadd ] || save 1 proc/2/comm

save 1 proc/sys/kernel/osrelease proc/cpuinfo sys/class/misc/kvm/dev
kernel_command_line
# That it shows modules is evidence where one is missing.
[ ! -d "$root/sys/module" ] || mkdir -p "$tree/1/sys/module"
for module in kvm kvm_intel kvm_amd kvm_pvm; do
  [ -d "$root/sys/module/$module" ] || continue
  mkdir -p "$tree/1/sys/module/$module"
  save 1 "sys/module/$module/initstate"
  for parameter in vector_hashing enable_apicv avic enable_ipiv enable_device_posted_irqs npt nested; do
    save 1 "sys/module/$module/parameters/$parameter"
  done
done
for unit in $(names 1 sys/class/iommu); do
  save 1 "sys/class/iommu/$unit/intel-iommu/cap" "sys/class/iommu/$unit/intel-iommu/ecap" \
    "sys/class/iommu/$unit/amd-iommu/features"
done
names 1 sys/kernel/iommu_groups >/dev/null
names 1 sys/kernel/debug >/dev/null
save 1 sys/kernel/debug/iommu/intel/ir_translation_struct sys/kernel/debug/iommu/amd/irqtbl
devices
other_buses
boot

printf 'collector: the second sample follows in %s s\n' "$interval" >&2
sleep "$interval"

ended=$(uptime_now)
save 2 proc/interrupts
while IFS= read -r irq; do
  save 2 "sys/kernel/irq/$irq/per_cpu_count"
done <"./irqs"
last=
while IFS=/ read -r pid fd began_at; do
  if [ "$pid" != "$last" ]; then
    same=no
    [ "$began_at" != "$(started "$pid")" ] || same=yes
    last=$pid
  fi
  [ "$same" = no ] || save 2 "proc/$pid/fdinfo/$fd"
done <"./eventfds"

{
  echo 'format: irqbypass-capture/2'
  echo "at: $(date -u +%Y-%m-%dT%H:%M:%SZ)"
  awk -v began="$began" -v ended="$ended" -v asked="$interval" \
    'BEGIN { span = ended - began; printf "seconds: %.3f\n", (span > 0 ? span : asked) }'
  echo "masked: $masked"
} >"$tree/about"

tar -cf ./archive.tar "./$base" || fail "the archive could not be written"
count=$(tar -tf ./archive.tar | grep -c -v '/$')
# Made whole beside its place and then given its name, which must be free: no link there is followed, no file replaced.
if ! ln -n ./archive.tar "../$archive" 2>/dev/null; then
  keep=yes
  fail "$output could not be given its name: something is there by now, or the file system has no links; the archive is $PWD/archive.tar"
fi
printf 'collector: saved %s files in %s, %s\n' "$count" "$output" "$([ "$masked" = yes ] && echo masked || echo 'not masked')" >&2
printf 'collector: then, where Node is: irqbypass-doctor --from %s\n' "$output" >&2
