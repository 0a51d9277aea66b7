#Requires -Version 4.0
# The Windows twin of probe.sh: what this guest knows about its agent and its way to 168.63.129.16, in one answer.
#
# Read-only: nothing is written, started, stopped or sent but two GETs to the Wire Server and one to IMDS. Run it as
# SYSTEM (Run Command) or elevated: the agent's own filters turn everyone else away. Windows PowerShell 4.0 or newer
# (Server 2012 R2); no module beyond those that Server Core has. All checks run at once, each writes what it learned as
# soon as it knows it, and whatever is not there after $Limit seconds is named in "late".
#
# Answer, ASCII, at most 4,096 bytes with its line ends (Run Command keeps the last 4,096 bytes of the output):
#   vmagent-probe-windows 1 json            or gzip: the same JSON, gzip, base64
#   JSON, broken into lines of 78 characters (a console of 80 columns adds no breaks of its own)
#   end LENGTH ADLER32 SECONDS              of the body without its white space
# Sections that did not fit are named in "cut", least telling first to go.

& {
    if ("$($ExecutionContext.SessionState.LanguageMode)" -ne 'FullLanguage') {
        Write-Output 'vmagent-probe-windows 1 json'
        Write-Output '{"failed":{"all":"PowerShell runs in constrained language mode"}}'
        Write-Output 'end 0 0 0'
        return
    }
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    $Limit = 7.0
    $Width = 78
    $Lines = 50

    # What every check may call; runs in the check's own runspace. $facts is shared by all of them.
    $common = {
        param($facts)
        $ErrorActionPreference = 'Stop'
        $ProgressPreference = 'SilentlyContinue'
        $WarningPreference = 'SilentlyContinue'
        # the 64-bit view, whatever PowerShell this is
        $hklm = [Microsoft.Win32.RegistryKey]::OpenBaseKey(
            [Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)

        function Get-Value($path, $name) {
            # null when the key or the value is not there
            $key = $hklm.OpenSubKey($path)
            if ($null -eq $key) { return $null }
            $value = $key.GetValue($name, $null, [Microsoft.Win32.RegistryValueOptions]::DoNotExpandEnvironmentNames)
            $key.Close()
            return $value
        }

        function Get-Short($text, $length) {
            $plain = ("$text" -replace '[^\x20-\x7e]+', ' ').Trim()
            if ($plain.Length -gt $length) { return $plain.Substring(0, $length) }
            return $plain
        }

        function Get-Utc($time) {
            $invariant = [System.Globalization.CultureInfo]::InvariantCulture
            return $time.ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ', $invariant)
        }

        function Get-Wmi($class, $filter) {
            # CIM where PowerShell has it, WMI's older cmdlet where it has not
            if (Get-Command -Name Get-CimInstance -ErrorAction SilentlyContinue) {
                return @(Get-CimInstance -ClassName $class -Filter $filter -OperationTimeoutSec 5)
            }
            return @(Get-WmiObject -Class $class -Filter $filter)
        }
    }

    $checks = [ordered]@{}

    $checks['who'] = {
        $me = [System.Security.Principal.WindowsIdentity]::GetCurrent()
        $role = New-Object -TypeName System.Security.Principal.WindowsPrincipal -ArgumentList $me
        $facts['who'] = @{
            system   = $me.IsSystem
            elevated = $role.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
        }
        $facts['time'] = Get-Utc ([System.DateTime]::UtcNow)
        $version = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'
        $facts['os'] = @{
            name   = Get-Short (Get-Value $version 'ProductName') 60
            build  = "$(Get-Value $version 'CurrentBuildNumber').$(Get-Value $version 'UBR')"
            kind   = Get-Short (Get-Value $version 'InstallationType') 20
            shell  = "$($PSVersionTable.PSVersion)"
            uptime = [long]([System.Diagnostics.Stopwatch]::GetTimestamp() / [System.Diagnostics.Stopwatch]::Frequency)
        }
        $reboot = @()
        foreach ($path in @(
                'SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending',
                'SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired')) {
            $key = $hklm.OpenSubKey($path)
            if ($null -ne $key) { $reboot += $path.Substring($path.LastIndexOf('\') + 1); $key.Close() }
        }
        $facts['reboot'] = $reboot
        $drive = New-Object -TypeName System.IO.DriveInfo -ArgumentList $env:SystemDrive
        $facts['disk'] = @{
            name = $env:SystemDrive
            free = [long]($drive.AvailableFreeSpace / 1024)
            size = [long]($drive.TotalSize / 1024)
        }
    }

    $checks['services'] = {
        $found = @()
        foreach ($name in @('RdAgent', 'WindowsAzureGuestAgent', 'WindowsAzureTelemetryService', 'Winmgmt', 'BFE',
                'mpssvc', 'Dhcp', 'KeyIso')) {
            $path = "SYSTEM\CurrentControlSet\Services\$name"
            $start = Get-Value $path 'Start'
            if ($null -eq $start) { continue }
            $one = @{ name = $name; start = $start }
            $service = Get-Service -Name $name -ErrorAction SilentlyContinue
            if ($null -ne $service) { $one['state'] = "$($service.Status)" }
            if ($name -like '*Agent' -or $name -like 'WindowsAzure*') {
                $image = "$(Get-Value $path 'ImagePath')"
                $file = [System.Environment]::ExpandEnvironmentVariables($image).Trim()
                if ($file.StartsWith('"')) { $file = $file.Substring(1).Split('"')[0] }
                elseif ($file -match '^(.*?\.exe)(\s|$)') { $file = $Matches[1] }
                $one['path'] = Get-Short $image 160
                $one['there'] = [System.IO.File]::Exists($file)
                if ($one['there']) {
                    $about = [System.Diagnostics.FileVersionInfo]::GetVersionInfo($file)
                    $one['version'] = Get-Short ($about.FileVersion) 24
                }
                $one['account'] = Get-Short (Get-Value $path 'ObjectName') 40
            }
            $found += $one
        }
        $facts['services'] = $found
        $running = @()
        foreach ($one in @(Get-Process -Name 'WaAppAgent', 'WindowsAzureGuestAgent' -ErrorAction SilentlyContinue)) {
            $told = @{ name = $one.ProcessName; pid = $one.Id }
            try { $told['since'] = Get-Utc ($one.StartTime) } catch { $told['since'] = $null }
            $running += $told
        }
        $facts['processes'] = $running
    }

    $checks['exits'] = {
        # apart from the services' states: WMI may be what is broken
        $found = @()
        foreach ($one in (Get-Wmi 'Win32_Service' "Name='RdAgent' OR Name='WindowsAzureGuestAgent'")) {
            $found += @{ name = $one.Name; 'exit' = $one.ExitCode; specific = $one.ServiceSpecificExitCode }
        }
        $facts['exits'] = $found
        $off = @()
        foreach ($one in (Get-Wmi 'Win32_NetworkAdapter' 'PhysicalAdapter=TRUE')) {
            if ($one.ConfigManagerErrorCode -ne 0 -or $one.NetEnabled -eq $false) {
                $off += @{
                    name  = Get-Short ($one.NetConnectionID) 40
                    about = Get-Short ($one.Name) 40
                    code  = $one.ConfigManagerErrorCode
                    link  = $one.NetConnectionStatus
                }
            }
        }
        $facts['off'] = $off
        $routes = @()
        foreach ($one in (Get-Wmi 'Win32_IP4RouteTable' "Destination='0.0.0.0' OR Destination LIKE '168.%'")) {
            $routes += "$($one.Destination),$($one.Mask),$($one.NextHop),$($one.Metric1),$($one.InterfaceIndex)"
        }
        $facts['routes'] = $routes
    }

    $test = {
        # $address, $port, $request and $slot are set in front of this text, one test each
        $errors = @{
            10061 = 'refused'; 10060 = 'timed-out'; 10065 = 'no-route'; 10051 = 'network-unreachable'
            10013 = 'denied'; 10054 = 'reset'; 10053 = 'reset'; 10050 = 'network-unreachable'
        }
        $told = @{ port = $port; outcome = 'failed' }
        $client = New-Object -TypeName System.Net.Sockets.TcpClient
        try {
            $waiting = $client.BeginConnect($address, $port, $null, $null)
            if (-not $waiting.AsyncWaitHandle.WaitOne(3500)) { $told['outcome'] = 'timed-out'; return }
            $client.EndConnect($waiting)
            $told['connected'] = $true
            $stream = $client.GetStream()
            $stream.ReadTimeout = 2000
            $stream.WriteTimeout = 1000
            $bytes = [System.Text.Encoding]::ASCII.GetBytes($request)
            $stream.Write($bytes, 0, $bytes.Length)
            $buffer = New-Object -TypeName 'System.Byte[]' -ArgumentList 256
            $count = $stream.Read($buffer, 0, 256)
            $head = [System.Text.Encoding]::ASCII.GetString($buffer, 0, $count)
            if ($head -match '^HTTP/\S+ (\d{3})') { $told['outcome'] = 'ok'; $told['http'] = [int]$Matches[1] }
            else { $told['detail'] = "$count bytes, no HTTP" }
        }
        catch {
            $base = $_.Exception.GetBaseException()
            if ($base -is [System.Net.Sockets.SocketException]) {
                if ($errors.ContainsKey($base.ErrorCode)) { $told['outcome'] = $errors[$base.ErrorCode] }
                $told['code'] = $base.ErrorCode
            }
            else { $told['detail'] = Get-Short ($base.Message) 80 }
        }
        finally { $client.Close(); $facts[$slot] = $told }
    }
    $ask = 'GET {0} HTTP/1.1|Host: {1}|Metadata: true|Connection: close||'
    foreach ($one in @(
            @('wire80', '168.63.129.16', 80, '/?comp=versions'),
            @('wire32526', '168.63.129.16', 32526, '/versions'),
            @('imds', '169.254.169.254', 80, '/metadata/versions'))) {
        $request = ($ask -f $one[3], $one[1]).Replace('|', '`r`n')
        $head = '$slot = ''{0}''; $address = ''{1}''; $port = {2}; $request = "{3}"'
        $head = $head -f $one[0], $one[1], $one[2], $request
        $checks[$one[0]] = $head + "`n" + $test.ToString()
    }

    $checks['source'] = {
        # a UDP socket's connect sends nothing: it only asks the routing table
        $socket = New-Object -TypeName System.Net.Sockets.UdpClient
        try {
            $socket.Connect('168.63.129.16', 80)
            $facts['source'] = "$($socket.Client.LocalEndPoint.Address)"
        }
        catch { $facts['source'] = "error $($_.Exception.GetBaseException().ErrorCode)" }
        finally { $socket.Close() }
        $kept = @()
        $key = $hklm.OpenSubKey(
            'SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\PersistentRoutes')
        if ($null -ne $key) {
            foreach ($name in $key.GetValueNames()) { if ($kept.Count -lt 8) { $kept += Get-Short $name 64 } }
            $key.Close()
        }
        $facts['persistent'] = $kept
    }

    $checks['adapters'] = {
        $found = @()
        foreach ($one in [System.Net.NetworkInformation.NetworkInterface]::GetAllNetworkInterfaces()) {
            if (@('Loopback', 'Tunnel') -contains "$($one.NetworkInterfaceType)") { continue }
            if ($found.Count -ge 6) { break }
            $properties = $one.GetIPProperties()
            $told = @{
                name  = Get-Short ($one.Name) 40
                about = Get-Short ($one.Description) 40
                state = "$($one.OperationalStatus)"
                mac   = "$($one.GetPhysicalAddress())"
            }
            $addresses = @()
            foreach ($each in $properties.UnicastAddresses) {
                if ("$($each.Address.AddressFamily)" -eq 'InterNetwork') { $addresses += "$($each.Address)" }
            }
            $gateways = @()
            foreach ($each in $properties.GatewayAddresses) { $gateways += "$($each.Address)" }
            $told['addresses'] = $addresses
            $told['gateways'] = $gateways
            $settings = "SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\Interfaces\$($one.Id)"
            $told['dhcp'] = Get-Value $settings 'EnableDHCP'
            $found += $told
        }
        $facts['adapters'] = $found
    }

    $checks['firewall'] = {
        $local = 'SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy'
        $policy = 'SOFTWARE\Policies\Microsoft\WindowsFirewall'
        $profiles = @()
        $closed = $false
        foreach ($store in @(@('local', $local), @('gpo', $policy))) {
            foreach ($name in @('DomainProfile', 'StandardProfile', 'PrivateProfile', 'PublicProfile')) {
                $on = Get-Value "$($store[1])\$name" 'EnableFirewall'
                $out = Get-Value "$($store[1])\$name" 'DefaultOutboundAction'
                $merge = Get-Value "$($store[1])\$name" 'AllowLocalPolicyMerge'
                if ($null -eq $on -and $null -eq $out -and $null -eq $merge) { continue }
                if ($out -eq 1) { $closed = $true }
                $profiles += @{ store = $store[0]; name = $name; on = $on; out = $out; merge = $merge }
            }
        }
        $facts['profiles'] = $profiles
        # only rules that could meet the agent: outbound, active, TCP or any protocol, not bound to another program,
        # app package or service; what that means for the Wire Server is judged outside
        $rules = New-Object -TypeName System.Collections.ArrayList
        $others = 0
        foreach ($store in @(@('gpo', "$policy\FirewallRules"), @('mdm', "$local\Mdm\FirewallRules"),
                @('local', "$local\FirewallRules"))) {
            $key = $hklm.OpenSubKey($store[1])
            if ($null -eq $key) { continue }
            foreach ($name in $key.GetValueNames()) {
                $rule = "$($key.GetValue($name))"
                if ($rule -notlike '*|Dir=Out|*' -or $rule -notlike '*|Active=TRUE|*') { continue }
                if ($rule -notlike '*|Action=Block|*' -and -not $closed) { continue }
                if ($rule -match '\|Protocol=(\d+)\|' -and $Matches[1] -ne '6' -and $Matches[1] -ne '256') { continue }
                if ($rule -match '\|AppPkgId=') { $others += 1; continue }
                if ($rule -match '\|App=([^|]*)\|' -and $Matches[1] -notmatch 'WindowsAzure|WaAppAgent|powershell') {
                    $others += 1; continue
                }
                if ($rule -match '\|Svc=([^|]*)\|' -and $Matches[1] -notmatch '^(\*|RdAgent|WindowsAzure\w+)$') {
                    $others += 1; continue
                }
                # what a long rule ends in is not known: it says so, and is then judged undecided
                $kept = Get-Short ($rule -replace '\|(Desc|EmbedCtxt)=[^|]*', '') 1500
                if ($kept.Length -eq 1500) { $kept += '|Cut=TRUE|' }
                if ($rules.Count -lt 40) { $null = $rules.Add(@($store[0], (Get-Short $name 128), $kept)) }
                else { $others += 1; $facts['more'] = $true }
            }
            $key.Close()
        }
        $facts['rules'] = $rules
        $facts['others'] = $others
    }

    $checks['active'] = {
        # the profiles of the networks that are connected now: 1 domain, 2 private, 4 public, added up
        $kind = [System.Type]::GetTypeFromProgID('HNetCfg.FwPolicy2')
        $facts['active'] = [int]([System.Activator]::CreateInstance($kind).CurrentProfileTypes)
    }

    $checks['log'] = {
        # the end of each log only; lines without a time belong to the entry above them
        $wire = '168\.63\.129\.16|GetVersions\(\) failed|forbidden by its access permissions|Did not discover fabric'
        $bad = 'fail|exception|unable|timed out|timeout|forbidden|Did not discover|error'
        $fine = 'Discovered fabric address|ControlSystem initialized with version'
        $known = 'RdCrypt Initialization failed|PFXImportCertStore failed|BadImageFormatException|could not be stopped'
        $known += '|Npcap Loopback Adapter|ServiceModelSink|ConfigurationErrorsException|GAPluginPinger'
        $known += '|Access to the path .* denied'
        foreach ($name in @('WaAppAgent', 'TransparentInstaller')) {
            $told = @{ there = $false }
            $path = "$env:SystemDrive\WindowsAzure\Logs\$name.log"
            if ([System.IO.File]::Exists($path)) {
                $told['there'] = $true
                $stream = [System.IO.File]::Open($path, [System.IO.FileMode]::Open, [System.IO.FileAccess]::Read,
                    [System.IO.FileShare]'ReadWrite, Delete')
                $told['size'] = $stream.Length
                $most = 131072
                if ($stream.Length -gt $most) { $null = $stream.Seek(-$most, [System.IO.SeekOrigin]::End) }
                $reader = New-Object -TypeName System.IO.StreamReader -ArgumentList $stream
                $text = $reader.ReadToEnd()
                $reader.Close()
                $when = ''
                $level = ''
                $count = 0
                $failed = New-Object -TypeName System.Collections.ArrayList
                $errors = New-Object -TypeName System.Collections.ArrayList
                $seen = @{}
                foreach ($line in $text.Split("`n")) {
                    if ($line -match '^(?:\[\d+\] )?\[?(\d[\d/-]+[T ][\d:.]+Z?)\]? \[(\w+)\]\s*(.*)$') {
                        $when = $Matches[1]
                        $level = $Matches[2]
                        $line = $Matches[3]
                        $told['newest'] = $when
                        if ($level -eq 'HEART') { $told['heart'] = $when }
                        if ($line -match 'WindowsAzureGuestAgent starting\. Version (\S+)') {
                            $told['start'] = $when
                            $told['version'] = Get-Short $Matches[1] 24
                        }
                    }
                    # the agent lists its own filters ("Block all outgoing to 168.63.129.16:80"): no failure
                    if ($when -eq '' -or $line -match '^\[|BfeTool') { continue }
                    if (($level -eq 'INFO') -and ($line -notmatch $fine)) { continue }
                    if ($line -match $fine) {
                        $told['fine'] = @($when, $level, (Get-Short $line 90))
                        $count = 0
                        $failed.Clear()
                        $told['first'] = $null
                        continue
                    }
                    if ($line -match $known) { $seen[$Matches[0]] = @($when, $level, (Get-Short $line 140)) }
                    if ($line -match $wire -and $line -match $bad) {
                        $count += 1
                        $entry = @($when, $level, (Get-Short $line 200))
                        if ($count -eq 1) { $told['first'] = $entry }
                        $null = $failed.Add($entry)
                        if ($failed.Count -gt 2) { $failed.RemoveAt(0) }
                    }
                    elseif ($level -eq 'ERROR' -and $line -notmatch '^\s*at ') {
                        $null = $errors.Add(@($when, $level, (Get-Short $line 140)))
                        if ($errors.Count -gt 2) { $errors.RemoveAt(0) }
                    }
                }
                $told['count'] = $count
                $told['failed'] = $failed
                $told['errors'] = $errors
                $named = New-Object -TypeName System.Collections.ArrayList
                foreach ($each in $seen.Values) { $null = $named.Add($each) }
                $told['known'] = $named
            }
            $facts["log$name"] = $told
        }
    }

    $checks['proxy'] = {
        $told = @{}
        $settings = 'SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings'
        [byte[]]$bytes = Get-Value "$settings\Connections" 'WinHttpSettings'
        if ($null -ne $bytes -and $bytes.Length -ge 20 -and ($bytes[8] -band 2)) {
            # size, counter, flags (2: a proxy is set), then length and text of the proxy and of its bypass list
            $length = [System.BitConverter]::ToInt32($bytes, 12)
            if ($length -gt 0 -and 16 + $length + 4 -le $bytes.Length) {
                $told['winhttp'] = Get-Short ([System.Text.Encoding]::ASCII.GetString($bytes, 16, $length)) 120
                $more = [System.BitConverter]::ToInt32($bytes, 16 + $length)
                if ($more -gt 0 -and 20 + $length + $more -le $bytes.Length) {
                    $list = [System.Text.Encoding]::ASCII.GetString($bytes, 20 + $length, $more)
                    $told['bypass'] = Get-Short $list 200
                }
            }
        }
        $user = [Microsoft.Win32.Registry]::Users.OpenSubKey("S-1-5-18\$settings")
        if ($null -ne $user) {
            if ($user.GetValue('ProxyEnable') -eq 1) {
                $told['system'] = Get-Short ($user.GetValue('ProxyServer')) 120
                $told['systembypass'] = Get-Short ($user.GetValue('ProxyOverride')) 200
            }
            if ($user.GetValue('AutoConfigURL')) { $told['script'] = Get-Short ($user.GetValue('AutoConfigURL')) 120 }
            $user.Close()
        }
        foreach ($name in @('HTTP_PROXY', 'NO_PROXY')) {
            $value = [System.Environment]::GetEnvironmentVariable($name, 'Machine')
            if ($value) { $told[$name.ToLower()] = Get-Short $value 160 }
        }
        $facts['proxy'] = $told
        $net = @{ enable64 = Get-Value 'SOFTWARE\Microsoft\.NETFramework' 'Enable64Bit' }
        $path = "$env:SystemRoot\Microsoft.NET\Framework64\v4.0.30319\Config\machine.config"
        $net['config'] = 'missing'
        if ([System.IO.File]::Exists($path)) {
            $text = [System.IO.File]::ReadAllText($path)
            $net['config'] = 'ok'
            $net['wcf'] = $text.Contains('ServiceModelSink.Behavior')
            try {
                $document = New-Object -TypeName System.Xml.XmlDocument
                $document.XmlResolver = $null
                $document.LoadXml($text)
                $proxy = $document.SelectSingleNode('/configuration/system.net/defaultProxy/proxy/@proxyaddress')
                if ($null -ne $proxy) { $net['proxy'] = Get-Short ($proxy.Value) 120 }
            }
            catch {
                $base = $_.Exception.GetBaseException()
                $net['config'] = 'broken: ' + (Get-Short ($base.Message) 100)
            }
        }
        $facts['dotnet'] = $net
    }

    $checks['registry'] = {
        $told = @{}
        foreach ($name in @('GuestAgentVersion', 'GuestAgentStatus', 'GuestAgentStartTime', 'WireServerStatus',
                'DHCPStatus', 'TransparentInstallerStatus', 'RequiredDotNetVersionPresent')) {
            $value = Get-Value 'SOFTWARE\Microsoft\Virtual Machine\Guest' $name
            if ($null -ne $value) { $told[$name] = Get-Short $value 60 }
        }
        $value = Get-Value 'SOFTWARE\Microsoft\GuestAgent' 'HeartbeatLastStatusUpdateTime'
        if ($null -ne $value) { $told['HeartbeatLastStatusUpdateTime'] = Get-Short $value 60 }
        $facts['registry'] = $told
    }

    $checks['certificates'] = {
        $type = 'System.Security.Cryptography.X509Certificates.X509Store'
        $store = New-Object -TypeName $type -ArgumentList 'My', 'LocalMachine'
        $store.Open([System.Security.Cryptography.X509Certificates.OpenFlags]::ReadOnly)
        $found = @()
        foreach ($one in $store.Certificates) {
            if ($one.FriendlyName -eq 'TenantEncryptionCert' -or $one.Issuer -like '*Windows Azure CRP*') {
                $found += @{
                    name = Get-Short ($one.FriendlyName) 40; 'until' = Get-Utc ($one.NotAfter); key = $one.HasPrivateKey
                }
            }
        }
        $store.Close()
        $facts['certificates'] = $found
    }

    $checks['events'] = {
        $since = [System.DateTime]::Now.AddDays(-1)
        $agent = 'RdAgent|WaAppAgent|WindowsAzureGuestAgent|Windows Azure Guest Agent'
        $seen = [ordered]@{}
        foreach ($wanted in @(
                @{ LogName = 'System'; ProviderName = 'Service Control Manager'; Id = 7000, 7009, 7031, 7034 },
                @{ LogName = 'Application'; ProviderName = 'Application Error'; Id = 1000 },
                @{ LogName = 'Application'; ProviderName = '.NET Runtime'; Id = 1026 })) {
            $wanted['StartTime'] = $since
            # no such event is an error of this cmdlet
            $events = @()
            try { $events = @(Get-WinEvent -FilterHashtable $wanted -MaxEvents 60 -ErrorAction SilentlyContinue) }
            catch { $events = @() }
            foreach ($one in $events) {
                $text = ''
                foreach ($each in $one.Properties) { $text += "$($each.Value) " }
                if ($text -notmatch $agent) { continue }
                $who = $Matches[0]
                $key = "$($one.Id) $who"
                if (-not $seen.Contains($key)) {
                    $seen[$key] = @{ id = $one.Id; who = $who; time = Get-Utc ($one.TimeCreated); count = 0 }
                    if ($text -match 'Exception Info: (\S+)') { $seen[$key]['what'] = Get-Short $Matches[1] 80 }
                }
                $seen[$key]['count'] += 1
            }
        }
        $facts['events'] = @($seen.Values)
    }

    $facts = [System.Collections.Hashtable]::Synchronized(@{})
    $pool = [System.Management.Automation.Runspaces.RunspaceFactory]::CreateRunspacePool(1, 8)
    $pool.Open()
    $asked = [ordered]@{}
    # what may wait longest is started first
    foreach ($name in @('wire80', 'wire32526', 'who', 'services', 'log', 'firewall', 'active', 'exits', 'imds',
            'events', 'source', 'adapters', 'proxy', 'registry', 'certificates')) {
        $shell = [System.Management.Automation.PowerShell]::Create()
        $shell.RunspacePool = $pool
        $null = $shell.AddScript($common.ToString() + "`n" + $checks[$name].ToString()).AddArgument($facts)
        $asked[$name] = @($shell, $shell.BeginInvoke())
    }
    $late = @()
    $failed = @{}
    foreach ($name in $asked.Keys) {
        $shell = $asked[$name][0]
        $left = [int](1000 * ($Limit - $clock.Elapsed.TotalSeconds))
        if ($left -lt 0) { $left = 0 }
        if (-not $asked[$name][1].AsyncWaitHandle.WaitOne($left)) {
            $late += $name
            $null = $shell.BeginStop($null, $null)
            continue
        }
        try { $null = $shell.EndInvoke($asked[$name][1]) }
        catch {
            $why = "$($_.Exception.GetBaseException().Message)" -replace '[^\x20-\x7e]+', ' '
            $failed[$name] = $why.Substring(0, [System.Math]::Min(100, $why.Length))
        }
    }
    $null = $pool.BeginClose($null, $null)

    function Format-Json($value) {
        if ($null -eq $value) { return 'null' }
        if ($value -is [bool]) { if ($value) { return 'true' } else { return 'false' } }
        if ($value -is [int] -or $value -is [long] -or $value -is [uint16] -or $value -is [uint32] -or
            $value -is [uint64]) {
            return $value.ToString([System.Globalization.CultureInfo]::InvariantCulture)
        }
        if ($value -is [System.Collections.IDictionary]) {
            $parts = @()
            foreach ($key in @($value.Keys)) { $parts += (Format-Json "$key") + ':' + (Format-Json $value[$key]) }
            return '{' + [string]::Join(',', $parts) + '}'
        }
        if ($value -is [System.Collections.IEnumerable] -and $value -isnot [string]) {
            $parts = @()
            foreach ($each in $value) { $parts += Format-Json $each }
            return '[' + [string]::Join(',', $parts) + ']'
        }
        $plain = "$value" -replace '[^\x20-\x7e]', '?'
        return '"' + $plain.Replace('\', '\\').Replace('"', '\"') + '"'
    }

    function Get-Packed($text) {
        $memory = New-Object -TypeName System.IO.MemoryStream
        $mode = [System.IO.Compression.CompressionMode]::Compress
        $zip = New-Object -TypeName System.IO.Compression.GZipStream -ArgumentList $memory, $mode
        $bytes = [System.Text.Encoding]::ASCII.GetBytes($text)
        $zip.Write($bytes, 0, $bytes.Length)
        $zip.Close()
        return [System.Convert]::ToBase64String($memory.ToArray())
    }

    # most telling first; what does not fit goes from the end
    $order = @('who', 'time', 'os', 'services', 'wire80', 'wire32526', 'imds', 'profiles', 'active', 'rules', 'others',
        'more', 'processes', 'exits', 'source', 'logWaAppAgent', 'adapters', 'off', 'disk', 'proxy', 'dotnet', 'events',
        'persistent', 'routes', 'certificates', 'registry', 'logTransparentInstaller', 'reboot')
    $kept = @()
    foreach ($name in $order) { if ($facts.ContainsKey($name)) { $kept += $name } }
    $texts = @{}
    foreach ($name in @($kept)) {
        # a check that is late may still be writing
        try { $texts[$name] = (Format-Json $name) + ':' + (Format-Json $facts[$name]) }
        catch { $texts[$name] = (Format-Json $name) + ':null' }
    }
    $cut = @()
    $most = $Width * $Lines
    while ($true) {
        $parts = @()
        foreach ($name in $kept) { $parts += $texts[$name] }
        $parts += '"late":' + (Format-Json $late)
        $parts += '"failed":' + (Format-Json $failed)
        $parts += '"cut":' + (Format-Json $cut)
        $body = '{' + [string]::Join(',', $parts) + '}'
        $form = 'json'
        if ($body.Length -gt $most) {
            $body = Get-Packed $body
            $form = 'gzip'
        }
        if ($body.Length -le $most -or $kept.Count -eq 0) { break }
        $cut += $kept[$kept.Count - 1]
        if ($kept.Count -eq 1) { $kept = @() } else { $kept = @($kept[0..($kept.Count - 2)]) }
    }

    $low = 1
    $high = 0
    $length = 0
    foreach ($byte in [System.Text.Encoding]::ASCII.GetBytes($body.Replace(' ', ''))) {
        $low = ($low + $byte) % 65521
        $high = ($high + $low) % 65521
        $length += 1
    }
    Write-Output "vmagent-probe-windows 1 $form"
    for ($at = 0; $at -lt $body.Length; $at += $Width) {
        Write-Output ($body.Substring($at, [System.Math]::Min($Width, $body.Length - $at)))
    }
    $spent = $clock.Elapsed.TotalSeconds.ToString('0.0', [System.Globalization.CultureInfo]::InvariantCulture)
    Write-Output "end $length $([long]$high * 65536 + $low) $spent"
}
